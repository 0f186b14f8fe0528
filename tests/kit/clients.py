"""Client processes: forked Python functions and real programs, each with a hard time limit."""

import os
import pickle
import select
import signal
import struct
import subprocess
import time
from signal import SIGKILL

from . import proc
from .timing import T


class ClientTimeout(AssertionError):
    """A client did not finish; the text has the kernel stacks."""


def _readable(fd, seconds):
    poller = select.poll()  # not select(): descriptors may be above 1023
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(seconds * 1000))


class Child:
    """A forked process that runs one function and sends back what it returned or raised.

    It starts without the descriptors that the test has open (a shared open file description
    has meaning here), but for those in `keep`. The constructor returns when that is done.
    """

    def __init__(self, fn, args=(), keep=(), uid=None, gid=None, groups=()):
        self.status = None
        self._outcome = None
        receive, send = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self._main(fn, args, set(keep) | {0, 1, 2, send}, send, uid, gid, groups)
        os.close(send)
        self._fd = receive
        self._read(1, 20)

    @staticmethod
    def _main(fn, args, keep, send, uid, gid, groups):
        try:
            signal.setitimer(signal.ITIMER_REAL, 0)
            for signo in (signal.SIGALRM, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
                signal.signal(signo, signal.SIG_DFL)
            low = 3
            for fd in sorted(keep - {0, 1, 2}):
                os.closerange(low, fd)
                low = fd + 1
            os.closerange(low, 20000)
            proc.die_with_parent()
            if gid is not None or uid is not None:
                os.setgroups(list(groups))
                os.setresgid(gid or uid, gid or uid, gid or uid)
                os.setresuid(uid, uid, uid)
                proc.die_with_parent()
            os.write(send, b"r")
            try:
                outcome = (True, fn(*args))
            except BaseException as error:  # every kind goes to the parent
                outcome = (False, error)
            try:
                data = pickle.dumps(outcome)
            except Exception:
                data = pickle.dumps((False, RuntimeError(repr(outcome))))
            data = struct.pack("=Q", len(data)) + data
            while data:
                data = data[os.write(send, data):]
        finally:
            os._exit(0)

    def _read(self, size, timeout):
        end, data = time.monotonic() + T(timeout), b""
        while len(data) < size:
            left = end - time.monotonic()
            if left <= 0 or not _readable(self._fd, left):
                raise ClientTimeout(f"client {self.pid} is still busy after {T(timeout):g} s\n"
                                    + proc.stacks([self.pid]))
            part = os.read(self._fd, min(size - len(data), 1 << 20))
            if not part:
                raise EOFError(f"client {self.pid} died")
            data += part
        return data

    @property
    def finished(self):
        """Whether the function has ended (or the process died)."""
        return self._outcome is not None or _readable(self._fd, 0)

    def result(self, timeout=20):
        """What the function returned; its exception is raised here."""
        if self._outcome is None:
            size, = struct.unpack("=Q", self._read(8, timeout))
            self._outcome = pickle.loads(self._read(size, timeout))
            self.wait(timeout)
        good, value = self._outcome
        if not good:
            raise value
        return value

    def wait(self, timeout=20):
        """The wait status of the process."""
        if self.status is None:
            self.status = proc.wait_exit(self.pid, T(timeout))
            if self.status is None:
                raise ClientTimeout(f"client {self.pid} does not end\n" + proc.stacks([self.pid]))
        return self.status

    def signal(self, signo):
        os.kill(self.pid, signo)

    def kill(self, signo=SIGKILL, timeout=5):
        """Kill it and wait: it must be gone within the limit."""
        os.kill(self.pid, signo)
        return self.wait(timeout)

    def __del__(self):
        try:
            os.close(self._fd)
        except (OSError, AttributeError):
            pass


def fork(fn, *args, **options):
    return Child(fn, args, **options)


class Proc:
    """A program in the background."""

    def __init__(self, argv, cwd=None, stdin=subprocess.DEVNULL, env=None):
        self.argv = argv
        self._popen = subprocess.Popen(
            argv, cwd=cwd, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})},
            start_new_session=True, preexec_fn=proc.die_with_parent)
        self.pid = self._popen.pid

    @property
    def running(self):
        return self._popen.poll() is None

    def hear(self):
        """The next line that it prints; "" at the end."""
        return self._popen.stdout.readline().decode().rstrip("\n")

    def say(self, line=""):
        """A line to its standard input, which must be a PIPE."""
        self._popen.stdin.write(line.encode() + b"\n")
        self._popen.stdin.flush()

    def finish(self, timeout=20, data=None):
        """(exit code, stdout, stderr), texts as str. Past the limit it is killed."""
        try:
            out, err = self._popen.communicate(data, timeout=T(timeout))
        except subprocess.TimeoutExpired:
            report = proc.stacks([self.pid] + proc.descendants(self.pid))
            os.killpg(self.pid, signal.SIGKILL)
            raise ClientTimeout(f"not ended within {T(timeout):g} s: {self.argv}\n{report}") from None
        return Done(self._popen.returncode, out.decode(errors="surrogateescape"),
                    err.decode(errors="surrogateescape"))

    def kill(self, signo=SIGKILL, timeout=5):
        """Signal the program, and wait for its end."""
        self._popen.send_signal(signo)
        try:
            return self._popen.wait(T(timeout))
        except subprocess.TimeoutExpired:
            raise ClientTimeout(f"does not die: {self.argv}\n{proc.stacks([self.pid])}") from None


class Done(tuple):
    """(code, out, err) of a program that has ended."""

    def __new__(cls, code, out, err):
        return super().__new__(cls, (code, out, err))

    code = property(lambda self: self[0])
    out = property(lambda self: self[1])
    err = property(lambda self: self[2])


def spawn(argv, **options):
    return Proc(argv, **options)


def run(argv, cwd=None, timeout=20, data=None, env=None):
    """Run a program to its end. timeout(1) around it holds even if this process dies."""
    guard = ["timeout", "-k", "5", f"{T(timeout) + 10:g}"]
    stdin = subprocess.DEVNULL if data is None else subprocess.PIPE
    return Proc(guard + argv, cwd=cwd, stdin=stdin, env=env).finish(timeout, data)


def sh(script, cwd=None, shell="bash", timeout=20, data=None, env=None, code=0):
    """Run a shell script; its exit code must be `code` (None: any). Gives Done."""
    done = run(shell.split() + ["-c", script], cwd=cwd, timeout=timeout, data=data, env=env)
    assert code is None or done.code == code, f"{shell} -c {script!r}: {done}"
    return done
