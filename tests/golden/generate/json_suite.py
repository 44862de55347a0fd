"""Packs JSONTestSuite (Nicolas Seriot, MIT), one line a file, into data/json_suite.txt.

    apt-get source --download-only haskell-aeson          # 2.0.3.0-1 carries the suite
    tar xf haskell-aeson_2.0.3.0.orig.tar.gz
    python tests/golden/generate/json_suite.py \\
        aeson-2.0.3.0/tests/JSONTestSuite/test_parsing > tests/golden/data/json_suite.txt

A line: name, how often the unit is repeated, the unit, what follows it; tabs between. Bytes other
than printable ASCII, and '%', are written as %XX.
"""
import pathlib
import sys

LICENCE = """# JSONTestSuite, https://github.com/nst/JSONTestSuite, packed by generate/json_suite.py
#
# MIT License
#
# Copyright (c) 2016 Nicolas Seriot
#
# Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
# associated documentation files (the "Software"), to deal in the Software without restriction,
# including without limitation the rights to use, copy, modify, merge, publish, distribute,
# sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
# furnished to do so, subject to the following conditions:
#
# The above copyright notice and this permission notice shall be included in all copies or
# substantial portions of the Software.
#
# THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
# NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
# NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
# DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT
# OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE."""


def escaped(data):
    return "".join(chr(b) if 0x20 <= b < 0x7F and b != 0x25 else f"%{b:02X}" for b in data)


def repeated(data):
    """(count, unit) of the run at the start of a long file; (0, b"") of others."""
    if len(data) <= 1000:
        return 0, b""
    for size in range(1, 10):
        unit, count = data[:size], 0
        while data[count * size:(count + 1) * size] == unit:
            count += 1
        if count * size > len(data) // 2:
            return count, unit
    raise SystemExit("a long file that repeats nothing")


print(LICENCE)
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.json")):
    content = path.read_bytes()
    count, unit = repeated(content)
    print(path.stem, count, escaped(unit), escaped(content[count * len(unit):]), sep="\t")
