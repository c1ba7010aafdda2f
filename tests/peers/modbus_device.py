"""Serves a register image as a Modbus TCP device, with pymodbus.

    python3 modbus_device.py IMAGE.json UNIT PORT

IMAGE.json holds {"registers": {"address": word}}: holding registers by their address on the wire. An address that is not
in it is refused with exception 2, as a device refuses what it does not have. PORT 0 takes a free one; the port is printed
as soon as the device listens.
"""

import asyncio
import json
import sys

from pymodbus.constants import ExcCodes
from pymodbus.datastore import ModbusServerContext
from pymodbus.datastore.context import ModbusBaseDeviceContext
from pymodbus.server import ModbusTcpServer


class Image(ModbusBaseDeviceContext):
    def __init__(self, words):
        self.words = words

    def reset(self):
        pass

    def getValues(self, func_code, address, count=1):
        if func_code != 3:
            return ExcCodes.ILLEGAL_FUNCTION
        span = range(address, address + count)
        if any(at not in self.words for at in span):
            return ExcCodes.ILLEGAL_ADDRESS
        return [self.words[at] for at in span]


async def main():
    image, unit, port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with open(image, encoding="utf-8") as file:
        words = {int(address): word for address, word in json.load(file)["registers"].items()}
    context = ModbusServerContext(devices={unit: Image(words)}, single=False)
    server = ModbusTcpServer(context, address=("127.0.0.1", port))
    await server.serve_forever(background=True)
    print(server.transport.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
