"""Actors: processes that do file operations when told to (see actor.py)."""
import contextlib
import itertools
import json
import os
import pathlib
import select
import signal
import subprocess
import sys
import time

from kit import TIMEOUT, Obj, T, eventually

HERE = pathlib.Path(__file__).resolve().parent
LONG = os.environ.get("IPCFS_LONG") == "1"


def object_of(path):
    """The Obj whose ctl folder tells about the file `path` (an end: of its two-way pipe)."""
    folder, name = os.path.split(os.fspath(path))
    if folder.endswith(".pipe"):
        folder, name = os.path.split(folder)
    return Obj(folder, name.split("@")[0])


def ask(path):
    """The answer to one read of a read-only handle."""
    fd = os.open(path, os.O_RDONLY)
    try:
        return os.read(fd, 1 << 17)
    finally:
        os.close(fd)


def held_by(obj):
    return [row.pid for row in obj.holders()]


class Job:
    """An operation that an actor has begun."""

    def __init__(self, actor, number, text):
        self.actor, self.number, self.text = actor, number, text

    def done(self):
        self.actor._collect(0)
        return self.number in self.actor._answers

    def outcome(self):
        return self.actor._answers.get(self.number)

    def result(self, limit=10.0):
        end = time.monotonic() + T(limit)
        while self.number not in self.actor._answers:
            left = end - time.monotonic()
            assert left > 0, f"hangs: {self.text} of actor {self.actor.pid}"
            self.actor._collect(left)
        answer = self.actor._answers.pop(self.number)
        if "errno" in answer:
            raise OSError(answer["errno"], os.strerror(answer["errno"]))
        return answer["value"]


class Actor:
    """A process that does one system call at a time when told to."""

    def __init__(self):
        self._process = subprocess.Popen([sys.executable, "-I", "-S", HERE / "actor.py"],
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pid = self._process.pid
        self.children = []
        self._numbers = itertools.count()
        self._answers, self._rest = {}, b""

    def begin(self, op, *args, thread=False):
        number = next(self._numbers)
        request = {"id": number, "op": op, "args": args, "thread": thread}
        self._process.stdin.write(json.dumps(request, default=os.fspath).encode() + b"\n")
        self._process.stdin.flush()
        return Job(self, number, f"{op}{args}")

    def call(self, op, *args, limit=10.0):
        return self.begin(op, *args).result(limit)

    def open(self, path, flags=os.O_RDWR):
        return Handle(self, path, self.call("open", os.fspath(path), flags))

    def _collect(self, limit):
        if select.select([self._process.stdout], [], [], limit)[0]:
            got = os.read(self._process.stdout.fileno(), 1 << 20)
            assert got, f"actor {self.pid} has ended"
            *lines, self._rest = (self._rest + got).split(b"\n")
            for line in lines:
                answer = json.loads(line)
                self._answers[answer["id"]] = answer

    def interrupt(self):
        os.kill(self.pid, signal.SIGUSR1)

    def kill(self):
        """SIGKILL, and gone when this returns: its descriptors are closed then."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)
        self._process.stdin.close()
        self._process.stdout.close()

    def end_children(self):
        for pid in self.children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.children.clear()


class Handle:
    """An open descriptor of an actor."""

    def __init__(self, actor, path, fd):
        self.actor, self.path, self.fd = actor, path, fd

    def read(self, length=4096, limit=10.0):
        return self.actor.call("read", self.fd, length, limit=limit)

    def write(self, text, limit=10.0):
        return self.actor.call("write", self.fd, text, limit=limit)

    def flock(self, operation):
        return self.actor.call("flock", self.fd, operation)

    def poll(self, events, ms=0):
        return self.actor.call("poll", self.fd, events, ms)

    def limit(self, seconds):
        """The time limit of each operation on this handle."""
        self.actor.call("ioctl", self.fd, TIMEOUT,
                        -1 if seconds is None else int(seconds * 1e9))

    def seek(self, at=0):
        return self.actor.call("lseek", self.fd, at, os.SEEK_SET)

    def close(self):
        self.actor.call("close", self.fd)

    def begin(self, op, *args, thread=False):
        return self.actor.begin(op, self.fd, *args, thread=thread)

    def wait(self, op="read", *args, thread=False):
        """Begin an operation that has to wait, and return when ctl/waiters shows it."""
        obj = object_of(self.path)
        before = self._waits(obj)
        job = self.begin(op, *(args or (4096,)), thread=thread)
        eventually(lambda: job.done() or self._waits(obj) > before, 10,
                   f"{op} of {self.path} waits")
        assert not job.done(), f"{op} of {self.path} did not wait: {job.outcome()}"
        return job

    def _waits(self, obj):
        return sum(row.pid == self.actor.pid for row in obj.waiters())

    def keep(self):
        """A child of the actor that holds this descriptor too; its pid."""
        pid = self.actor.call("keep", self.fd)
        self.actor.children.append(pid)
        return pid
