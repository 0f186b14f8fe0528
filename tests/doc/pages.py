#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""usage: pages.py HEADER PAGE...

The manual pages that are installed (PAGE...) are complete, agree with HEADER, and are well formed:
every call has a page with its prototype, every reference among the pages leads somewhere, groff has
no warnings, and the examples compile. CC is the compiler.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys

SKIPPED = 77
OURS = re.compile(r"((?:lib)?ipc(?:fs|ctl)\w*)[\" ]*\(?([135])\b")


def prototypes(header):
    """{name: its prototype} of every call in the header."""
    found = re.findall(r"^IPCFS_API ([^;]*?(\w+)\([^;]*\));", header, re.M)
    return {name: squeezed(text) for text, name in found}


def squeezed(text):
    return re.sub(r"\s", "", text)


def section(page, name):
    found = re.search(rf"^\.SH {name}\n(.*?)(?=^\.SH |\Z)", page, re.M | re.S)
    return found.group(1) if found else ""


def synopsis(page):
    """The prototypes of a page, without its macros."""
    lines = [re.sub(r'^\.BI? |"', "", line) for line in section(page, "SYNOPSIS").splitlines()]
    return squeezed("".join(lines))


def resolved(pages, name):
    """The text of a page, or of the one that it leads to."""
    text = pages[name]
    if text.startswith(".so "):
        return pages.get(os.path.basename(text.split()[1]), "")
    return text


def check_call(pages, name, prototype):
    page = f"{name}.3"
    if page not in pages:
        return [f"{name}() has no page"]
    text = resolved(pages, page)
    wrong = []
    if not re.search(rf"\b{name}\b", section(text, "NAME")):
        wrong.append(f"{page}: {name} is not in its NAME")
    if prototype not in synopsis(text):
        wrong.append(f"{page}: its SYNOPSIS does not have the prototype in the header: {prototype}")
    return wrong


def check_references(pages, name):
    text = re.sub(r"^\.(?:Xr|BR) ", "", pages[name], flags=re.M)
    return [f"{name}: refers to {to}({number}), which is not there"
            for to, number in OURS.findall(text) if f"{to}.{number}" not in pages]


def examples(page):
    for text in re.findall(r"^\.EX\n(.*?)^\.EE", page, re.M | re.S):
        if "#include" in text:
            yield text.replace("\\e", "\\").replace("\\-", "-")


def check_examples(name, page, include):
    for text in examples(page):
        done = subprocess.run([*shlex.split(os.environ.get("CC", "cc")), "-D_GNU_SOURCE", "-Wall",
                               "-Wextra", "-Werror", "-fsyntax-only", "-I", include, "-x", "c", "-"],
                              input=text, text=True, capture_output=True, check=False)
        if done.returncode:
            yield f"{name}: its example does not compile:\n{done.stderr}"


def check_groff(path):
    done = subprocess.run(["groff", "-t", "-ww", "-z", "-mandoc", path], text=True,
                          capture_output=True, check=False)
    return [done.stderr + done.stdout] if done.stderr or done.stdout else []


def main():
    header, *paths = sys.argv[1:]
    pages = {}
    for path in paths:
        with open(path, encoding="utf-8") as file:
            pages[os.path.basename(path)] = file.read()
    with open(header, encoding="utf-8") as file:
        calls = prototypes(file.read())
    wrong = [] if len(calls) > 10 else [f"{header}: only {len(calls)} calls found"]
    for name, prototype in calls.items():
        wrong += check_call(pages, name, prototype)
    for name in pages:
        wrong += check_references(pages, name)
        wrong += check_examples(name, pages[name], os.path.dirname(header))
        if not resolved(pages, name):
            wrong.append(f"{name}: leads nowhere")
    groff = shutil.which("groff")
    for path in paths if groff else []:
        if not pages[os.path.basename(path)].startswith(".so "):
            wrong += check_groff(path)
    print("\n".join(wrong) or f"{len(calls)} calls, {len(pages)} pages: ok")
    if not groff:
        print("groff is not installed: warnings not checked")
    return 1 if wrong else 0 if groff else SKIPPED


if __name__ == "__main__":
    sys.exit(main())
