#!/usr/bin/env python3
"""Prints a site of N demo halls side by side, for measurements: halls.py N > site.toml"""

import pathlib
import re
import sys

SITE = pathlib.Path(__file__).parent.parent / "configs/sites/demo.toml"
PORTS_PER_HALL = 200


def main() -> None:
    text = SITE.read_text()
    head, rest = text.split("[[room]]", 1)
    hall = "[[room]]" + rest
    ids = set(re.findall(r'^id = "([^"]+)"', hall, re.MULTILINE))
    print(head)
    for copy in range(int(sys.argv[1])):
        def renamed(match: re.Match[str]) -> str:
            return f'"{match[1]}-h{copy}"' if match[1] in ids else match[0]

        def moved(match: re.Match[str]) -> str:
            return f":{int(match[1]) + PORTS_PER_HALL * copy}"

        tables = re.split(r"(?m)^(?=\[\[)", hall)
        if copy > 0:
            # One broker speaks for all rooms.
            tables = [table for table in tables if not re.match(r"\[\[(sensor|weather)", table)
                      and "mqtt://" not in table and 'asset = "weather"' not in table]
        print(re.sub(r":(15\d{3})\b", moved, re.sub(r'"([^"]+)"', renamed, "".join(tables))))


if __name__ == "__main__":
    main()
