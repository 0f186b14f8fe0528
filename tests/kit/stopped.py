"""Direct clients that keep the lock of an object's engine file: tests/lib/hostile.c."""

import os
import signal

from .clients import spawn
from .mount import BUILD
from .proc import state_of
from .timing import eventually

HOSTILE = os.path.join(BUILD, "tests", "lib", "hostile")


class Holder:
    """Has the object's lock, in the middle of a change, and is stopped."""

    def __init__(self, obj):
        self.proc = spawn([HOSTILE, "hold", os.readlink(obj.ctl_path("shm"))])
        self.pid = self.proc.pid
        eventually(lambda: state_of(self.pid) == "T", 10, "it is stopped with the lock")

    def go_on(self):
        os.kill(self.pid, signal.SIGCONT)
        assert self.proc.finish().out == "held\nreleased\n"

    def kill(self):
        self.proc.kill()


class Busy:
    """Has the lock, and computes."""

    def __init__(self, obj):
        self.proc = spawn([HOSTILE, "busy", os.readlink(obj.ctl_path("shm"))])
        self.pid = self.proc.pid
        assert self.proc.hear() == "held"

    def go_on(self):
        os.kill(self.pid, signal.SIGUSR1)
        assert self.proc.finish().out == "released\n"


class Keeper:
    """Has the lock, and sleeps."""

    def __init__(self, obj):
        self.proc = spawn([HOSTILE, "keep", os.readlink(obj.ctl_path("shm"))])
        self.pid = self.proc.pid
        assert self.proc.hear() == "held"

    def kill(self):
        self.proc.kill()
