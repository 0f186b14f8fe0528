# SPDX-License-Identifier: MIT
"""usage: listed.py FOLDER PATTERN NAME...

Fails unless the files in FOLDER (and below) that match are exactly these: a test that a
meson.build does not name is a test that never runs.
"""
import pathlib
import sys

folder, pattern, *names = sys.argv[1:]
files = {str(path.relative_to(folder)) for path in pathlib.Path(folder).rglob(pattern)}
wrong = files.symmetric_difference(names)
for name in sorted(wrong):
    print(f"{folder}/{name}:", "in no meson.build" if name in files else "named, but not there")
sys.exit(bool(wrong))
