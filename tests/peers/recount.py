"""Computes a year again from the exported registers: recount.py REGISTERS.csv REPORT.json

Of the report only this is taken: the period, the time zone, which meters are in which sum, and the modulus of their
registers. Energies follow from the register readings. Where a meter has no total for a quarter of an hour, the same time
of the same weekday within two weeks stands in (the median of two values or more).
"""

import json
import sys

import pandas as pd

registers, report = sys.argv[1:]
report = json.load(open(report))
rows = pd.read_csv(registers, parse_dates=["start", "first_at", "last_at"])
rows["flags"] = rows["flags"].fillna("")
period, zone = report["period"], report["site"]["time_zone"]
meters = pd.DataFrame([{"meter": meter["name"], "modulus": meter["declared"]["register_modulus_kwh"]}
                       for meter in report["meters"]])
rows = rows.merge(meters, on="meter")

# What lies between the two readings, and the part of it that is this quarter-hour's.
quarter = pd.Timedelta(minutes=15)
between = rows["last_value"] - rows["first_value"]
between = between.where(between >= 0, between + rows["modulus"])
begins = rows[["start", "first_at"]].max(axis=1)
ends = pd.concat([rows["start"] + quarter, rows["last_at"]], axis=1).min(axis=1)
part = ((ends - begins) / (rows["last_at"] - rows["first_at"])).clip(upper=1)
rows["kwh"] = between * part
# A register that began anew tells no total of a gap.
anew = rows["flags"].str.contains("reset|replaced|ambiguous")
rows.loc[anew, "kwh"] = float("nan")
corrections = rows[rows["flags"] == "correction"]
rows = rows[rows["flags"] != "correction"]
counted = rows.drop_duplicates(["meter", "start"]).set_index(["meter", "start"])["kwh"]

grid = pd.date_range(period["from"], period["to"], freq="15min", inclusive="left")
energy = counted.unstack("meter").reindex(grid)
for row in corrections.itertuples():
    energy.loc[row.start, row.meter] = row.amount

def stand_in(meter, start):
    local = start.tz_convert(zone).tz_localize(None)
    found = []
    for week in (-2, -1, 1, 2):
        then = (local + pd.Timedelta(weeks=week)).tz_localize(zone, ambiguous=True, nonexistent="NaT")
        then = then.tz_convert("UTC") if then is not pd.NaT else then
        if then in energy.index and pd.notna(recorded.at[then, meter]):
            found.append(recorded.at[then, meter])
    return pd.Series(found).median() if len(found) >= 2 else float("nan")

recorded = energy.copy()
missing = [(meter, start) for meter in energy for start in energy.index[energy[meter].isna()]]
for meter, start in missing:
    energy.at[start, meter] = stand_in(meter, start)

signs = {"plus": 1.0, "minus": -1.0}
def total(member):
    terms = {meter["name"]: signs[meter[member]] for meter in report["meters"] if meter[member]}
    return sum(energy[meter].sum() * sign for meter, sign in terms.items())

facility, it = total("in_facility"), total("in_it")
json.dump({
    "facility_kwh": facility,
    "it_kwh": it,
    "ratio": facility / it,
    "from_registers": 1 - len(missing) / energy.size,
    "estimated_quarters": float(len(missing)),
}, sys.stdout)
