"""Fixtures of the object tests. `area`, a fresh folder of a mount, comes from tests/mount/conftest.py."""
import contextlib
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from kit import T

from helpers import HERE, Actor


@pytest.fixture
def ipc(area):
    """A fresh folder of the module's mount, as a path."""
    return pathlib.Path(area.dir)


@pytest.fixture
def actors(area):
    """Makes processes that do file operations when told to (helpers.Actor)."""
    made = []

    def make():
        made.append(Actor())
        return made[-1]

    yield make
    for actor in made:
        actor.kill()
        actor.end_children()


@pytest.fixture
def start(area):
    """Starts a program in a process group of its own; all of it is killed in the end."""
    started = []

    def run(argv, **options):
        # a print must be one write, also where PYTHONUNBUFFERED makes it two
        env = os.environ | {"PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": ""}
        process = subprocess.Popen([str(arg) for arg in argv], env=env, text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, start_new_session=True, **options)
        started.append(process)
        return process

    yield run
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
        process.stdout.close()
        process.stderr.close()


@pytest.fixture
def python(start):
    """Starts a Python program of its own (not a child of fork) that has imported mpfs."""
    def run(code, *args):
        return start([sys.executable, "-c", "from mpfs import *\nimport os, sys, time\n"
                      "ARGS = sys.argv[1:]\n" + code, *args])
    return run


@pytest.fixture
def output():
    """The lines that a started program printed; it must end well and in time."""
    def lines(process, limit=30):
        out, err = process.communicate(timeout=T(limit))
        assert process.returncode == 0, f"exit {process.returncode}\n{out}\n{err}"
        return out.splitlines()
    return lines
