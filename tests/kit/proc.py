"""Facts about processes from /proc, and the killing of what a test left behind."""

import ctypes
import os
import select
import signal
import time

from .timing import T

_libc = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
ADDR_NO_RANDOMIZE = 0x0040000


def die_with_parent(signo=signal.SIGKILL):
    _libc.prctl(PR_SET_PDEATHSIG, int(signo), 0, 0, 0)


def become_subreaper():
    """Orphans of a test become our children, so that teardown sees and reaps them."""
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def steady_addresses():
    """What runs from now on: the sanitizers of older compilers cannot place their maps where
    addresses are very random."""
    try:
        very = int(_read("/proc/sys/vm/mmap_rnd_bits")) > 28
    except OSError:
        very = False
    if very:
        _libc.personality(_libc.personality(0xffffffff) | ADDR_NO_RANDOMIZE)


def _read(path):
    with open(path, "rb") as file:
        return file.read().decode(errors="replace")


def stat_fields(pid):
    """The fields of /proc/PID/stat from the third (state) on; None when it is gone."""
    try:
        return _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def state_of(pid):
    """R, S, D, Z, T …, or None."""
    fields = stat_fields(pid)
    return fields[0] if fields else None


def start_time(pid):
    """In clock ticks since boot, as /proc/PID/stat field 22 has it."""
    fields = stat_fields(pid)
    return int(fields[19]) if fields else None


def _parents():
    table = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = stat_fields(name)
            if fields:
                table[int(name)] = int(fields[1])
    return table


def children(pid):
    return {p for p, parent in _parents().items() if parent == pid}


def descendants(pid):
    table, found, todo = _parents(), [], [pid]
    while todo:
        parent = todo.pop()
        below = [p for p, pp in table.items() if pp == parent]
        found += below
        todo += below
    return found


def status_number(pid, key):
    """A number out of /proc/PID/status; 0 when it is gone."""
    try:
        for line in _read(f"/proc/{pid}/status").splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1])
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0


def thread_count(pid):
    return status_number(pid, "Threads")


def _look(path):
    try:
        return _read(path).strip()
    except OSError as error:
        return f"({error.strerror})"


def stacks(pids):
    """Where all threads of the processes are, for reports of what hangs."""
    out = []
    for pid in pids:
        command = _look(f"/proc/{pid}/cmdline").replace("\0", " ")[:200]
        try:
            tids = sorted(os.listdir(f"/proc/{pid}/task"), key=int)
        except OSError:
            continue
        for tid in tids:
            base = f"/proc/{pid}/task/{tid}"
            out.append(f"--- pid {pid} tid {tid} ({_look(base + '/comm')}) state {state_of(tid)}, "
                       f"waits in {_look(base + '/wchan')}, system call {_look(base + '/syscall')}\n"
                       f"    {command}\n{_look(base + '/stack')}")
    return "\n".join(out) + "\n"


def ended_within(pid, seconds):
    """Whether a process that is not reaped yet ends in this time."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poller = select.poll()
        poller.register(fd, select.POLLIN)
        return bool(poller.poll(seconds * 1000))
    finally:
        os.close(fd)


def wait_exit(pid, timeout):
    """Wait for a child of ours. Its wait status, or None when the limit passed."""
    if not ended_within(pid, timeout):
        return None
    try:
        return os.waitpid(pid, 0)[1]
    except ChildProcessError:
        return 0


def kill_strays(keep):
    """SIGKILL, by pid, to every process below this one but the daemons in `keep`.

    Returns those that do not die: nothing on an ipcfs mount may make a process unkillable.
    """
    end = time.monotonic() + T(15)
    while True:
        strays = children(os.getpid()) - set(keep)
        if not strays:
            return set()
        for pid in strays:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for pid in strays:
            if wait_exit(pid, max(0, end - time.monotonic())) is None:
                return children(os.getpid()) - set(keep)


def close_fds_below(folder):
    """Close what this process still has open under a folder, so that it can be unmounted."""
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
            if target == folder or target.startswith(folder + "/"):
                os.close(int(name))
        except OSError:
            pass
