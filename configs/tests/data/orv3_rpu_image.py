"""A register image of an ORV3 reservoir and pumping unit, and what it means.

    python3 orv3_rpu_image.py > orv3_rpu_image.json

Addresses, widths and scales are typed in here from the public register maps (facebook/openbmc orv3_rpu.json and .csv,
openbmc/phosphor-modbus), not taken from the profile; the values are chosen below. Temperatures below 0 °C are two's
complement. "registers" maps addresses to words, "values" maps quantities to numbers, states or text.
"""

import json
from decimal import Decimal

registers, values = {}, {}


def put(address, word):
    assert 0 <= word <= 0xFFFF and address not in registers, address
    registers[address] = word


def number(quantity, address, scale, value, signed=False):
    """One register of value / scale counts."""
    raw = Decimal(str(value)) / Decimal(str(scale))
    assert raw == int(raw), quantity
    raw = int(raw)
    assert (-0x8000 <= raw <= 0x7FFF) if signed else (0 <= raw <= 0xFFFF), quantity
    put(address, raw & 0xFFFF)
    values[quantity] = {"number": float(value)}


def array(quantity, address, scale, numbers, signed=False, names=None, first=1):
    for at, value in enumerate(numbers):
        name = names[at] if names else first + at
        number(quantity.format(name), address + at, scale, value, signed)


def state(quantity, address, code):
    put(address, code)
    values[quantity] = {"state": code}


def flags(address, names, alarms):
    """One register; `names` by bit, `alarms` the quantities that are 1."""
    word = 0
    for bit, quantity in names.items():
        is_set = quantity in alarms
        word |= is_set << bit
        values[quantity] = {"state": int(is_set)}
    put(address, word)


def text(quantity, address, length, characters):
    data = characters.encode("ascii").ljust(2 * length, b"\0")
    for at in range(length):
        put(address + at, data[2 * at] << 8 | data[2 * at + 1])
    values[quantity] = {"text": characters.strip()}


number("tcs.flow", 36864, 0.1, 118.7)
number("tcs.supply_temperature", 36865, 0.1, -3.4, signed=True)
number("tcs.return_temperature", 36866, 0.1, 41.2, signed=True)
number("tcs.supply_pressure", 36867, 0.1, 182.5, signed=True)
number("tcs.return_pressure", 36868, 0.1, -12.3, signed=True)
number("power", 36869, 0.1, 1874.6)
number("total.power", 36870, 0.1, 6553.5)
number("total_extended.power", 41005, 1, 7012)
number("input.voltage", 36871, 0.1, 50.9)
number("air.inlet_temperature", 36872, 0.1, -0.1, signed=True)
number("pumps.speed", 36873, 1, 63)
array("pump_{}.rotation", 36874, 1, [3120, 3118, 3125, 0])
flags(36878, {0: "fan_1.status", 1: "fan_2.status"}, {"fan_2.status"})
array("fan_{}.rotation", 36879, 1, [9870, 65535])
number("cooling.capacity", 36881, 0.1, 4321.9)
for n, code in enumerate([1, 1, 1, 2], start=1):
    state(f"pump_{n}.status", 36881 + n, code)
state("reservoir.status", 36886, 3)
flags(
    36887,
    {0: "led.reservoir", 1: "led.reservoir_blinking", 2: "leak.state", 3: "led.fault", 4: "led.power"},
    {"led.reservoir", "led.power", "leak.state"},
)
state("pumps.status", 36888, 1)
state("fans.status", 36889, 0)

number("hex.fan_speed", 37120, 1, 47)
number("hex.power", 37121, 0.1, 913.4)
number("hex.voltage", 37122, 1, 48)
number("hex.current", 37123, 1, 19)
array("hex.fan_{}.rotation", 37124, 1, [4001, 4002, 4003, 4004, 4005, 4006, 4007, 4008, 4009, 4010])
array("hex.fan_{}.rotation", 41286, 1, [4011, 4012, 4013, 4014], first=11)
array("hex.air_outlet_{}.temperature", 37134, 0.1, [44.4, -5.5], signed=True)
array("hex.air_outlet_{}.temperature", 41218, 1, [40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, -7], signed=True, first=3)
array("hex.air_inlet_{}.temperature", 37136, 0.1, [24.1, 24.2], signed=True)
array("hex.air_inlet_{}.temperature", 41216, 1, [25, -1], signed=True, first=3)
number("hex.water_inlet.temperature", 37138, 0.1, 46.3, signed=True)
array("hex.gauge_{}.pressure", 41290, 0.1, [151.2, 149.8])
array("hex.fan_board_{}.temperature", 41230, 1, list(range(30, 43)) + [-2], signed=True)
array("hex.fan_board_{}.voltage", 41244, 0.01, [Decimal(4800 + n) / 100 for n in range(14)])
array("hex.fan_board_{}.current", 41258, 0.1, [Decimal(20 + n) / 10 for n in range(14)])
array("hex.fan_board_{}.power", 41272, 0.1, [Decimal(965 + n) / 10 for n in range(14)])

number("tcs.flow_setpoint", 37888, 0.1, 120.0)
number("tcs.supply_setpoint", 37889, 0.1, 25.5, signed=True)

array("board_{}.temperature", 40960, 1, [38, 39, 40, 41, 42, 43, 44, 45, 46, 47, -3], signed=True)
boards = ["base_board", "backplane", "pump_1", "pump_2", "pump_3"]
array("bus_48v.{}.voltage", 40971, 0.01, [50.11, 50.12, 50.13, 50.14, 50.15], names=boards)
array("bus_48v.{}.current", 40976, 0.1, [1.1, 1.2, 5.3, 5.4, 5.5], names=boards)
array("bus_48v.{}.power", 40981, 0.1, [55.1, 60.1, 265.7, 270.8, 275.8], names=boards)
array("rack_{}.pressure", 40992, 0.1, [98.6, 99.1], first=3)
array("{}.humidity", 40996, 1, [41, 42, 43, 44, 100], names=["main_board", "power_board", "pump_1", "pump_2", "pump_3"])
array("leak_sensor.{}.voltage", 41003, 0.01, [3.28, 0.07], names=["cdu", "rack"])

flags(37375, {0: "sensor_alarm.y_filter"}, {"sensor_alarm.y_filter"})
flags(
    37376,
    dict(
        enumerate(
            "sensor_alarm." + name
            for name in (
                "inlet_thermometer outlet_thermometer inlet_gauge outlet_gauge flow_meter hex_air_outlet_1 hex_air_outlet_2 "
                "hex_air_inlet_1 hex_air_inlet_2 hex_water_inlet rpu_air_inlet hot_swap_controller middle_level_gauge "
                "low_level_gauge hex_static_gauge bladder_level_gauge"
            ).split()
        )
    ),
    {"sensor_alarm.inlet_thermometer", "sensor_alarm.bladder_level_gauge"},
)
flags(
    37377,
    dict(
        enumerate(
            "status_alarm." + name
            for name in (
                "reservoir outlet inlet air_inlet outlet_overpressure hex_water_inlet pump_abnormal loop_blocked "
                "emergency_button ready_deasserted y_filter"
            ).split()
        )
    ),
    {"status_alarm.pump_abnormal"},
)
flags(
    37378,
    dict(
        enumerate(
            (
                "leak_action.it_chassis_0 leak_action.it_chassis_1 leak_action.it_chassis_2 leak_action.it_chassis_3 "
                "leak.internal leak.external leak.optional_1 leak.optional_2 leak.rack_pan leak.rack_floor "
                "leak_action.rack_pan_relay leak_action.rack_floor_relay leak_sensor.rack_pan leak_sensor.rack_floor"
            ).split()
        )
    ),
    {"leak.external", "leak_action.rack_floor_relay"},
)
hex_alarms = {bit: f"hex_alarm.fan_{bit + 1}" for bit in range(10)}
hex_alarms |= {10: "hex_alarm.coil_dirty", 15: "hex_alarm.comms"}
hex_alarms |= {bit: f"hex_alarm.fan_group_{bit - 11}_comms" for bit in (12, 13, 14)}
flags(37379, hex_alarms, {"hex_alarm.fan_10", "hex_alarm.fan_group_3_comms"})
flags(41473, {bit: f"hex_alarm.fan_{bit + 11}" for bit in range(4)}, {"hex_alarm.fan_14"})
more_sensors = {bit: f"sensor_alarm.hex_air_outlet_{bit + 3}" for bit in range(12)}
more_sensors |= {12: "sensor_alarm.hex_air_inlet_3", 13: "sensor_alarm.hex_air_inlet_4"}
flags(41474, more_sensors, {"sensor_alarm.hex_air_outlet_14"})

latches = (
    "stop_pump_0 stop_pump_1 stop_pump_2 stop_pump_3 internal external optional_1 optional_2 rack_pan rack_floor "
    "rack_pan_relay rack_floor_relay"
).split()
for at, name in enumerate(latches):
    state(f"leak_latch.{name}", 6561 + at, int(name == "external"))

text("nameplate.part_number", 6596, 8, "09-000123-45")
text("nameplate.model", 6604, 8, "RDF040DSS5193E0")
text("nameplate.date", 6612, 4, "20260117")
text("nameplate.serial", 6616, 8, "SN00112233445566")
text("nameplate.work_order", 6624, 4, "WO-7731")
text("nameplate.hardware_revision", 6628, 4, "A02  ")
text("nameplate.plc_firmware", 6632, 4, "1.04.17")
text("nameplate.hmi_firmware", 6642, 4, "2.00")
text("nameplate.hex_firmware", 6646, 2, "3.1")

print(json.dumps({"registers": registers, "values": values}, indent=1))
