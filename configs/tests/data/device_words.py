"""Words of real devices and what they mean, one line a point.

    python3 device_words.py > device_words.json

Addresses, types and scales are typed in from the documents that each profile names, independently of the profile. A line is
{"profile", "quantity", "table", "address", "words", "value"}; floats are text so that no JSON reader rounds them.
"""

import json
import struct
from fractions import Fraction

FORMATS = {"u16": "H", "i16": "h", "u32": "I", "i32": "i", "u64": "Q", "i64": "q", "f32": "f"}
lines = []


def line(profile, quantity, table, address, words, value):
    lines.append(
        {"profile": profile, "quantity": quantity, "table": table, "address": address, "words": words, "value": value}
    )


def point(profile, quantity, table, address, kind, raw, scale="1", swap_words=False, exact=False):
    data = struct.pack(">" + FORMATS[kind], raw)
    words = [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]
    if swap_words:
        words.reverse()
    if kind == "f32":
        raw = struct.unpack(">f", data)[0]
    value = {"integer": raw} if exact else {"number": repr(float(Fraction(raw) * Fraction(scale)))}
    line(profile, quantity, table, address, words, value)


def bit(profile, quantity, table, address, number, others=0):
    line(profile, quantity, table, address, [1 << number | others], {"state": 1})
    line(profile, quantity, table, address, [~(1 << number) & 0xFFFF], {"state": 0})


def missing(profile, quantity, table, address, words):
    line(profile, quantity, table, address, words, {"missing": "NotAvailable"})


SDM = "eastron-sdm630"
for n in range(3):
    point(SDM, f"line{n + 1}_voltage", "Input", 0x00 + 2 * n, "f32", 230.5 + n)
    point(SDM, f"line{n + 1}_current", "Input", 0x06 + 2 * n, "f32", 15.25 + n)
    point(SDM, f"line{n + 1}_active_power", "Input", 0x0C + 2 * n, "f32", -3500.75 + n)
    point(SDM, f"line{n + 1}_apparent_power", "Input", 0x12 + 2 * n, "f32", 3600.5 + n)
    point(SDM, f"line{n + 1}_reactive_power", "Input", 0x18 + 2 * n, "f32", 120.25 + n)
    point(SDM, f"line{n + 1}_power_factor", "Input", 0x1E + 2 * n, "f32", 0.97)
point(SDM, "active_power", "Input", 0x34, "f32", 10502.25)
point(SDM, "apparent_power", "Input", 0x38, "f32", 10801.5)
point(SDM, "reactive_power", "Input", 0x3C, "f32", -360.75)
point(SDM, "power_factor", "Input", 0x3E, "f32", 0.972)
point(SDM, "frequency", "Input", 0x46, "f32", 49.98)
point(SDM, "energy", "Input", 0x48, "f32", 123456.78)
point(SDM, "exported.energy", "Input", 0x4A, "f32", 0.5)

ABB = "abb-b-series"
point(ABB, "energy", "Holding", 0x5000, "u64", 1234567890, "0.01")
point(ABB, "exported.energy", "Holding", 0x5004, "u64", 5, "0.01")
missing(ABB, "exported.energy", "Holding", 0x5004, [0xFFFF] * 4)
for n in range(3):
    point(ABB, f"line{n + 1}.energy", "Holding", 0x5460 + 4 * n, "u64", 411522630 + n, "0.01")
    point(ABB, f"line{n + 1}_voltage", "Holding", 0x5B00 + 2 * n, "u32", 2301 + n, "0.1")
    point(ABB, f"line{n + 1}_current", "Holding", 0x5B0C + 2 * n, "u32", 70001 + n, "0.01")
    point(ABB, f"line{n + 1}_active_power", "Holding", 0x5B16 + 2 * n, "i32", -123456 - n, "0.01")
    point(ABB, f"line{n + 1}_power_factor", "Holding", 0x5B3B + n, "i16", -985 - n, "0.001")
missing(ABB, "line1_voltage", "Holding", 0x5B00, [0xFFFF, 0xFFFF])
point(ABB, "active_power", "Holding", 0x5B14, "i32", 7654321, "0.01")
missing(ABB, "active_power", "Holding", 0x5B14, [0x7FFF, 0xFFFF])
point(ABB, "frequency", "Holding", 0x5B2C, "u16", 4998, "0.01")
point(ABB, "power_factor", "Holding", 0x5B3A, "i16", 985, "0.001")
missing(ABB, "power_factor", "Holding", 0x5B3A, [0x7FFF])

IEM = "schneider-iem3000"
for n in range(3):
    point(IEM, f"line{n + 1}_current", "Holding", 2999 + 2 * n, "f32", 40.5 + n)
    point(IEM, f"line{n + 1}_voltage", "Holding", 3027 + 2 * n, "f32", 231.5 + n)
    point(IEM, f"line{n + 1}_active_power", "Holding", 3053 + 2 * n, "f32", 9.125 + n)
point(IEM, "current", "Holding", 3009, "f32", 41.5)
point(IEM, "voltage", "Holding", 3025, "f32", 400.25)
point(IEM, "active_power", "Holding", 3059, "f32", 30.375)
point(IEM, "reactive_power", "Holding", 3067, "f32", -1.5)
point(IEM, "apparent_power", "Holding", 3075, "f32", 31.0)
point(IEM, "frequency", "Holding", 3109, "f32", 50.02)
point(IEM, "energy", "Holding", 3203, "i64", 9_007_199_254_740_993, exact=True)
point(IEM, "exported.energy", "Holding", 3207, "i64", 12, exact=True)

BELIMO = "belimo-ev200"
point(BELIMO, "valve.setpoint", "Holding", 0x00, "u16", 5025, "0.01")
point(BELIMO, "valve.position", "Holding", 0x04, "u16", 4987, "0.01")
point(BELIMO, "flow.share", "Holding", 0x06, "u16", 6001, "0.01")
point(BELIMO, "flow", "Holding", 0x08, "u16", 317, "0.1")
point(BELIMO, "sensor.temperature", "Holding", 0x0D, "i16", -512, "0.01")
point(BELIMO, "flow.setpoint", "Holding", 0x10, "u16", 320, "0.1")
point(BELIMO, "remote.temperature", "Holding", 0x13, "i16", 4211, "0.01")
point(BELIMO, "flow_body.temperature", "Holding", 0x15, "i16", 3190, "0.01")
point(BELIMO, "glycol.concentration", "Holding", 0x19, "u16", 2500, "0.01")
for number, name in enumerate(
    "no_actuator_comms gear_disengaged actuator_blocked reverse_flow setpoint_not_reached flow_with_valve_closed "
    "flow_above_nominal flow_measurement remote_sensor flow_body_sensor flow_sensor_comms freeze_warning glycol_detected "
    "power_setpoint_not_reached end_of_life bus_watchdog".split()
):
    bit(BELIMO, f"alarm.{name}", "Holding", 0x9D, number)
for number, name in enumerate("no_delta_p delta_p_setpoint_not_reached minimum_position".split()):
    bit(BELIMO, f"alarm.{name}", "Holding", 0x9E, number)

SHELF = "orv3-power-shelf"
point(SHELF, "fan_0.rotation", "Holding", 67, "u16", 11200)
point(SHELF, "fan_1.rotation", "Holding", 68, "u16", 11300)
point(SHELF, "inlet.temperature", "Holding", 69, "i16", -5 * 128 - 64, "1/128")
point(SHELF, "outlet.temperature", "Holding", 70, "i16", 52 * 128 + 1, "1/128")
point(SHELF, "output.voltage", "Holding", 79, "u16", 51_250, "1/1024")
point(SHELF, "output.current", "Holding", 80, "u16", 3_905, "1/64")
point(SHELF, "output.power", "Holding", 82, "u16", 24_401, "1/8")
point(SHELF, "bulk_capacitor.voltage", "Holding", 83, "u16", 27_201, "1/64")
point(SHELF, "input.frequency", "Holding", 84, "u16", 50)
point(SHELF, "input.power_factor", "Holding", 86, "u16", 509, "1/512")
point(SHELF, "input.power", "Holding", 87, "u16", 25_003, "1/8")
point(SHELF, "input.voltage", "Holding", 88, "u16", 14_777, "1/64")
point(SHELF, "input.current", "Holding", 89, "u16", 13_801, "1/1024")
for number, name in {
    0: "pfc", 1: "dc_dc", 2: "over_temperature", 3: "communication",
    8: "pfc_fail", 9: "dc_dc_fail", 10: "temperature_limit", 11: "fan",
}.items():
    bit(SHELF, f"alarm.{name}", "Holding", 60, number)
line(SHELF, "nameplate.model", "Holding", 8, [0x5053, 0x552D, 0x3400] + [0] * 5, {"text": "PSU-4"})
line(SHELF, "nameplate.serial", "Holding", 24, [0x4142, 0x4331] + [0x2020] * 14, {"text": "ABC1"})
line(SHELF, "nameplate.firmware", "Holding", 48, [0x312E, 0x3032, 0, 0], {"text": "1.02"})

RLE = "rle-seahawk-10k"
bit(RLE, "leak.state", "Input", 0, 0)
bit(RLE, "leak.cable_break", "Input", 0, 1)
bit(RLE, "leak.contamination", "Input", 0, 2)
bit(RLE, "leak.summary_alarm", "Input", 0, 3)
point(RLE, "leak.current", "Input", 3, "u16", 121, "0.001")
point(RLE, "leak.distance", "Input", 8000, "f32", 37.5, swap_words=True)
point(RLE, "cable.length", "Input", 8002, "f32", 150.25, swap_words=True)

print("[")
print(",\n".join(json.dumps(entry) for entry in lines))
print("]")
