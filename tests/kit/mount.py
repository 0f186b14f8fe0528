"""One ipcfs daemon on one mount point, from its start to a checked end."""

import atexit
import glob
import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import tempfile
import time

from . import proc
from .objects import Folder
from .timing import T

_HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get("IPCFS_BUILD", os.path.normpath(os.path.join(_HERE, "../../build")))
IPCFS = os.path.join(BUILD, "fs", "ipcfs")
IPCCTL = os.path.join(BUILD, "tools", "ipcctl")
SHM = os.environ.get("IPCFS_TEST_SHM", "/dev/shm")
WRAP = shlex.split(os.environ.get("IPCFS_WRAP", ""))

SUSPICIOUS = re.compile(
    r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|MemorySanitizer|UndefinedBehavior|runtime error:"
    r"|[Aa]ssert|[Aa]bort|panic|[Ss]egmentation|segfault|SIGSEGV|SIGBUS|stack smashing|double free"
    r"|corrupted (size|top|double|unsorted)|malloc\(\)|free\(\): |munmap_chunk"
    r"|Invalid (read|write|free)|uninitialised|ERROR SUMMARY: [1-9]|lost: [1-9]"
    # What another worker makes good is a fault all the same. Tests kill with SIGKILL only.
    r"|worker \d+ (was killed by signal (?!9 )|failed with status)")

# Sanitizers write here, whoever runs: the worker, also of a daemon in the background, which has no
# standard error, and clients that are built with them. An abort() is to be reported as well.
REPORTS = tempfile.mkdtemp(prefix="ipcfs-reports-")
os.chmod(REPORTS, 0o1777)
atexit.register(shutil.rmtree, REPORTS, ignore_errors=True)
for _name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
    os.environ[_name] = (os.environ.get(_name, "") +
                         f":handle_abort=1:log_path={REPORTS}/report").lstrip(":")


def check_reports():
    """No sanitizer has reported anything since the last time. Each report fails one test."""
    texts = []
    for path in glob.glob(os.path.join(REPORTS, "report*")):
        with open(path, "rb") as file:
            text = file.read().decode(errors="replace")
        os.unlink(path)
        if SUSPICIOUS.search(text):     # and not only remarks, on a thread that has just ended
            texts.append(text)
    assert not texts, "a sanitizer reports:\n" + "\n".join(texts)


def _instrumented():
    """Whether memory and time say nothing: valgrind, or a sanitizer linked in."""
    if WRAP:
        return True
    try:
        with open(IPCFS, "rb") as file:
            return re.search(rb"__(asan|tsan|msan)_init", file.read()) is not None
    except OSError:
        return False


INSTRUMENTED = _instrumented()


def _mounts():
    """(path, major:minor) of all mounts, the topmost of each path last."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            fields = line.split()
            yield re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), fields[4]), fields[2]


def mounted_at(path):
    """The major:minor of the file system mounted on path, or None."""
    return dict(_mounts()).get(path)


def abort_connection(path, device):
    """Every request that waits in a FUSE mount ends, and so does its daemon."""
    try:
        with open(f"/sys/fs/fuse/connections/{device.partition(':')[2]}/abort", "w", encoding="ascii") as file:
            file.write("1")
    except OSError:
        if mounted_at(path) == device:  # no fusectl here: a forced umount aborts as well
            subprocess.run(["timeout", "-k", "5", "10", "umount", "-f", path], capture_output=True, check=False)


def abort_mounts(folder):
    """All mounts below a folder."""
    for path, device in list(_mounts()):
        if path.startswith(folder + "/"):
            abort_connection(path, device)


def detach(path):
    """Take a mount out of the tree, whoever still uses it."""
    for words in (["umount", "-l"], ["fusermount3", "-u", "-z"]):
        if mounted_at(path) is None:
            break
        subprocess.run(["timeout", "-k", "5", "10", *words, path], capture_output=True, check=False)


def detach_mounts(folder):
    """All mounts below a folder; gives their paths."""
    paths = [path for path, _ in _mounts() if path.startswith(folder + "/")]
    for path in reversed(paths):
        detach(path)
    return paths


def await_mount_change(condition, timeout, pid=None):
    """Wait until condition() holds, looking again at each change of the mount table (the kernel
    signals those by POLLPRI), and at the end of pid. Says whether it holds."""
    end = time.monotonic() + T(timeout)
    with open("/proc/self/mountinfo", "rb") as table:
        poller = select.poll()
        poller.register(table, select.POLLPRI | select.POLLERR)
        pidfd = None
        if pid is not None:
            pidfd = os.pidfd_open(pid)
            poller.register(pidfd, select.POLLIN)
        try:
            while not condition():
                left = end - time.monotonic()
                if left <= 0:
                    return False
                events = poller.poll(left * 1000)
                if any(fd == pidfd for fd, _ in events):
                    return condition()
            return True
        finally:
            if pidfd is not None:
                os.close(pidfd)


class Running(Folder):
    """A mount seen from inside, whoever started it."""

    def status(self):
        """What .ctl/status says, by the worker that answers: {key: text}."""
        with open(self.path(".ctl/status"), encoding="utf-8") as file:
            return dict(line.rstrip("\n").split(": ", 1) for line in file)

    def worker(self):
        return int(self.status()["worker"])

    def supervisor(self):
        return int(self.status()["supervisor"])


class Mount(Running):
    """A mount of our own. `options` become -o options (True: the bare word)."""

    active = []

    def __init__(self, args=("-f",), public=False, state=None, program=None, cpu=None, **options):
        self.base = tempfile.mkdtemp(prefix="ipcfs-test-")
        self.own_state = state is None
        self.state = state or tempfile.mkdtemp(prefix="ipcfs-test-", dir=SHM)
        super().__init__(os.path.join(self.base, "mnt"))
        os.mkdir(self.dir, 0o700)
        if public:
            os.chmod(self.base, 0o755)
            os.chmod(self.dir, 0o755)
        self.program, self.cpu = program, cpu       # cpu: the one that the daemon runs on
        self.args, self.options = list(args), options
        self.log_path = os.path.join(self.base, "log")
        self.process = self.device = None
        self.pid = None
        self.tainted = False

    # --- start and end ---------------------------------------------------------------------

    def argv(self):
        words = [f"state={self.state}"] if self.state != "default" else []
        words += [k if v is True else f"{k}={v}" for k, v in self.options.items()]
        return WRAP + [self.program or IPCFS, *self.args, *(["-o", ",".join(words)] if words else []), self.dir]

    def _begin(self):
        proc.die_with_parent(signal.SIGTERM)
        if self.cpu is not None:
            os.sched_setaffinity(0, {self.cpu})

    def start(self):
        """Run the daemon, and return when the kernel has the mount."""
        Mount.active.append(self)
        before = proc.children(os.getpid())
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.argv(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=self._begin)
        self.pid = self.process.pid
        if not {"-f", "-d"} & set(self.args):
            code = self.process.wait(T(20))
            assert code == 0, f"ipcfs could not start: {code}\n{self.log()}"
            assert self.is_mounted(), "a command that has returned has mounted"
            grown = proc.children(os.getpid()) - before
            assert len(grown) == 1, f"one daemon in the background: {grown}"
            self.pid, self.process = grown.pop(), None
        elif not await_mount_change(self.is_mounted, 20, self.pid):
            text = self.log()
            self.abort()
            raise AssertionError(f"ipcfs did not mount: {self.argv()}\n{text}")
        self.device = mounted_at(self.dir)
        return self

    def is_mounted(self):
        return mounted_at(self.dir) is not None

    def await_unmounted(self, timeout=20):
        assert await_mount_change(lambda: not self.is_mounted(), timeout), "still mounted"

    def await_exit(self, timeout=20):
        """The daemon's exit code."""
        status = proc.wait_exit(self.pid, T(timeout)) if self.process is None else None
        if self.process is not None:
            try:
                code = self.process.wait(T(timeout))
            except subprocess.TimeoutExpired:
                code = None
        else:
            code = None if status is None else os.waitstatus_to_exitcode(status)
        if code is None:
            report = proc.stacks(self.pids())
            self.abort()
            raise AssertionError(f"the daemon does not end\n{report}\n{self.log()}")
        self.forget()
        return code

    def forget(self):
        if self in Mount.active:
            Mount.active.remove(self)

    def unmount(self):
        """fusermount3 -u, then a clean exit: code 0, nothing odd in the log."""
        proc.close_fds_below(self.dir)
        done = subprocess.run(["timeout", "-k", "5", f"{T(20):g}", "fusermount3", "-u", self.dir],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            report = proc.stacks(self.pids())
            self.abort()
            raise AssertionError(f"fusermount3 -u: {done}\n{report}\n{self.log()}")
        code = self.await_exit()
        assert code == 0, f"exit code {code} after unmount\n{self.log()}"
        self.check_log()

    def remount(self, **options):
        """A clean unmount and a new daemon on the same state."""
        self.unmount()
        self.options.update(options)
        return self.start()

    def end(self):
        """The end of it, checked; nothing is left, whatever state it is in."""
        try:
            if self.tainted:
                self.abort()
            elif self in Mount.active:
                self.unmount()
            self.check_log()    # whichever way the test ended it
        finally:
            if self.is_mounted():
                self.abort()
            self.remove()

    def dispose(self):
        """The end of a test: its clients must be killable, too."""
        stuck = proc.kill_strays({m.pid for m in Mount.active})
        try:
            if stuck:
                report = proc.stacks(stuck)
                self.abort()
                raise AssertionError(f"unkillable processes {stuck}\n{report}")
        finally:
            self.end()

    def remove(self):
        shutil.rmtree(self.base, ignore_errors=True)
        if self.own_state:
            shutil.rmtree(self.state, ignore_errors=True)

    def abort(self):
        """By force: abort the FUSE connection, kill the daemon by pid, detach the mount."""
        pids = self.pids()
        if self.device:
            abort_connection(self.dir, self.device)
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self.process is not None:
            self.process.wait(20)
        detach(self.dir)
        self.forget()

    # --- looking at the daemon ---------------------------------------------------------------

    @property
    def alive(self):
        return self.pid is not None and proc.state_of(self.pid) not in (None, "Z")

    def pids(self):
        """The daemon's processes: the supervisor and all below it."""
        return [self.pid, *proc.descendants(self.pid)] if self.alive else []

    def threads(self):
        return sum(proc.thread_count(pid) for pid in self.pids())

    def memory(self):
        """Bytes: private memory of the daemon's processes, and what the state folder takes."""
        private = sum(proc.status_number(pid, "RssAnon") for pid in self.pids()) * 1024
        return private + self.state_bytes()

    def state_bytes(self):
        total = 0
        for folder, _, files in os.walk(self.state):
            for name in files:
                try:
                    total += os.lstat(os.path.join(folder, name)).st_blocks * 512
                except FileNotFoundError:
                    pass
        return total

    def log(self):
        try:
            with open(self.log_path, "rb") as file:
                return file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def check_log(self, start=0):
        found = SUSPICIOUS.search(self.log()[start:])
        assert not found, f"suspicious: {found[0]!r} in the log:\n{self.log()[start:]}"
        check_reports()
