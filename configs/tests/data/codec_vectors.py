"""Golden register words for the codec, computed with Python's struct module and exact fractions.

    python3 codec_vectors.py > codec_vectors.json

A vector is {"type", "order", "scale", "offset", "words", "value"}: `words` as they come over the wire, `value` what they
mean, floats as text so that no JSON reader rounds them. Words are made from struct's big-endian bytes by the definition of
the four orders; scaled values are exact fractions, rounded to a float once.
"""

import json
import struct
from fractions import Fraction

FORMATS = {"u16": "H", "i16": "h", "u32": "I", "i32": "i", "u64": "Q", "i64": "q", "f32": "f", "f64": "d"}


def words(kind, raw, order):
    data = struct.pack(">" + FORMATS[kind], raw)
    pairs = [data[at : at + 2] for at in range(0, len(data), 2)]
    if order in ("cdab", "dcba"):
        pairs.reverse()
    if order in ("badc", "dcba"):
        pairs = [pair[::-1] for pair in pairs]
    return [int.from_bytes(pair, "big") for pair in pairs]


def meaning(kind, raw, scale, offset):
    if kind in ("u64", "i64") and scale == "1" and offset == "0":
        return {"integer": raw}
    if kind == "f32":
        raw = struct.unpack(">f", struct.pack(">f", raw))[0]
    return {"number": repr(float(Fraction(raw) * Fraction(scale) + Fraction(offset)))}


RAW = {
    "u16": [0, 1, 412, 0x1234, 0x8000, 0xFFFF],
    "i16": [0, 1, -1, 412, -55, 0x7FFF, -0x8000],
    "u32": [0, 1, 0x12345678, 4_294_967_295],
    "i32": [0, -1, 0x12345678, -305_419_896, -(2**31)],
    "u64": [0, 1, 0x0123456789ABCDEF, 2**53 + 1, 2**63 - 1],
    "i64": [0, -1, 0x0123456789ABCDEF, -(2**53) - 1, -(2**63)],
    "f32": [0.0, 1.0, -1.5, 41.2, 103.008995, 3.4028234663852886e38],
    "f64": [0.0, 1.0, -1.5, 41.2, 1e-300, 1.7976931348623157e308],
}

SCALED = [
    ("u16", 412, "0.1", "0"),
    ("u16", 3, "0.1", "0"),
    ("u16", 65535, "0.01", "0"),
    ("i16", -55, "0.1", "0"),
    ("i16", 412, "0.1", "-40"),
    ("u16", 1000, "0.378541", "0"),
    ("u32", 123_456_789, "0.001", "0"),
    ("u32", 7, "10", "0"),
    ("i32", -305_419_896, "0.01", "273.15"),
    ("u64", 9_007_199_254_740_991, "0.01", "0"),
    ("u16", 5, "0.5", "1"),
    ("u16", 17, "-0.1", "0"),
]

vectors = []
for kind, raws in RAW.items():
    for raw in raws:
        for order in ("abcd", "cdab", "badc", "dcba"):
            vectors.append(
                {
                    "type": kind,
                    "order": order,
                    "scale": 1.0,
                    "offset": 0.0,
                    "words": words(kind, raw, order),
                    "value": meaning(kind, raw, "1", "0"),
                }
            )
for kind, raw, scale, offset in SCALED:
    vectors.append(
        {
            "type": kind,
            "order": "abcd",
            "scale": float(scale),
            "offset": float(offset),
            "words": words(kind, raw, "abcd"),
            "value": meaning(kind, raw, scale, offset),
        }
    )
print("[")
print(",\n".join(json.dumps(vector) for vector in vectors))
print("]")
