#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""codespell finds nothing in the files of the repository; .codespellrc says what it may find."""

import os
import shutil
import subprocess
import sys

SKIPPED = 77


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
    if not shutil.which("codespell"):
        print("codespell is not installed")
        return SKIPPED
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, check=False)
    if listed.returncode:
        print("not a git repository: which files are ours?")
        return SKIPPED
    files = [name for name in listed.stdout.decode().split("\0") if os.path.isfile(name)]
    return subprocess.run(["codespell", *files], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
