# SPDX-License-Identifier: MIT
"""Measures the daemon itself: many objects, many waiters, its memory, a bare request."""
import contextlib
import subprocess

from places import Failed, Proc

# A request that crosses CPUs takes between one and four times as long, as it happens. Where that
# would hide what is asked for, the daemon and its client share a CPU.
ONE_CPU = {"BENCH_CPU": "0"}


# ---- floor: two daemons on one CPU ------------------------------------------------------------

def floor_before(bench):
    ipc = bench.places.mount_ipcfs(cpu=0)
    null = bench.places.mount_null(cpu=0)
    bench.floor_env = {**ipc.env, **null.env, **ONE_CPU}


def floor_all(bench, name):
    return bench.run("floor", str(60 if bench.quick else 150), env=bench.floor_env)


def shell_all(bench, name):
    return bench.run("shell.py", str(15 if bench.quick else 40), env=bench.floor_env)


SHELL = {"shell": "ipcfs: echo x > q; read y < q", "null-shell": "empty FUSE: the same requests"}

FLOOR = {
    "event": "ipcfs: read a set event", "value": "ipcfs: read a value",
    "null-read": "empty FUSE: read", "queue": "ipcfs: write 2 bytes + read (queue)",
    "null-write-read": "empty FUSE: write + read", "lock": "ipcfs: flock + unlock",
    "null-flock": "empty FUSE: flock + unlock",
}


# ---- create: names that come and go --------------------------------------------------------------

def create(op):
    """Where both are mounted as for floor."""
    def measure(bench, name):
        count = bench.count(name, ("ops", op), env=bench.floor_env)
        return {name: bench.run("ops", op, str(count), env=bench.floor_env)}
    return measure


CREATE = {"create": "ipcfs: create, close, unlink", "null-create": "empty FUSE: create, close, unlink",
          "name": "ipcfs: mknod, unlink", "null-name": "empty FUSE: mknod, unlink",
          "folder": "ipcfs: mkdir, rmdir", "null-folder": "empty FUSE: mkdir, rmdir"}


# ---- scale ------------------------------------------------------------------------------------

def sizes(quick):
    return (10, 1000, 10000 if quick else 100000)


def objects_before(bench):
    bench.scale_env = {}
    for n in sizes(bench.quick):
        place = bench.places.mount_ipcfs(cpu=0, objects=n + 100)
        bench.scale_env[n] = {**place.env, **ONE_CPU}
        bench.run("ops", "fill", place.dir, str(n), env=ONE_CPU, silent=True, limit=60)


def waiters_before(bench):
    ipc, null = bench.places.mount_ipcfs(cpu=0), bench.places.mount_null(cpu=0)
    bench.waiters_env = {**ipc.env, **null.env, **ONE_CPU}


def in_objects(op, n):
    """One operation where there are n objects."""
    def measure(bench, name):
        count = bench.count(name, ("ops", op), env=bench.scale_env[n])
        return {name: bench.run("ops", op, str(count), env=bench.scale_env[n])}
    return measure


class Parked:
    """Waiters in another process: the program park, phase by phase."""

    def __init__(self, bench, peer, n, env=None):
        limit = str(bench.limit * 3)
        self.process = Proc([bench.program("park"), peer, str(n)], stdin=subprocess.PIPE,
                            env={**bench.env, **(env or {}), "BENCH_LIMIT": limit})

    def phase(self, word):
        if self.process.hear() != word:
            raise Failed(self.process.finish().err.strip() or f"park did not print {word}")

    def go_on(self):
        self.process.say()

    def __enter__(self):
        self.phase("open")
        return self

    def __exit__(self, *error):
        self.process.kill(timeout=60)


def beside_waiters(waiters, ops):
    """Operations while so many others wait on another object."""
    def measure(bench, name):
        results = {}
        for n in (1, 100, 10000):
            with Parked(bench, waiters, n, bench.waiters_env) as parked:
                parked.go_on()
                parked.phase("parked")
                for op in ops:
                    key = f"{op}-{n}"
                    count = bench.count(key, ("ops", op), env=bench.waiters_env)
                    results[key] = bench.run("ops", op, str(count), env=bench.waiters_env)
        return results
    return measure


def in_line(peer, n):
    def measure(bench, name):
        return {name: bench.run("park", f"{peer}-line", str(n), "200", env=bench.waiters_env)}
    return measure


OPS = {"files": "ipcfs files: put+get", "direct": "ipcfs direct: put+get",
       "create": "ipcfs files: create+rm", "event": "ipcfs files: set an event",
       "event-direct": "ipcfs direct: set an event"}
OPS_OBJECTS = ("files", "direct", "create")


def objects_peers(quick):
    return {f"{op}-{n}": in_objects(op, n) for op in OPS_OBJECTS for n in sizes(quick)}


def objects_labels(quick):
    return {f"{op}-{n}": f"{OPS[op]}, {n:,} objects" for op in OPS_OBJECTS for n in sizes(quick)}


OPS_BESIDE = ("files", "direct", "event", "event-direct")
BESIDE = {f"{op}-{n}": f"{OPS[op]}, {n:,} elsewhere"
          for op in OPS_BESIDE for n in (1, 100, 10000)}
BESIDE_NULL = {f"null-{n}": f"empty FUSE: a write, {n:,} elsewhere" for n in (1, 100, 10000)}
LINES = {"files": "ipcfs files", "direct": "ipcfs direct", "null": "empty FUSE",
         "sem": "POSIX semaphore", "futex": "futex, a word each"}
LINE = {f"{peer}-{n}": f"{label}: release to one of {n:,}"
        for peer, label in LINES.items() for n in (1, 100, 10000)}


# ---- memory -----------------------------------------------------------------------------------

WAITERS = 10000


def private_memory(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        for line in f:
            if line.startswith("Pss_Anon:"):
                return int(line.split()[1]) * 1024
    raise Failed("the kernel does not report Pss_Anon")


def memory_of(bench, place, peer):
    def now():
        return private_memory(place.worker()), place.state_bytes()

    before = now()
    with Parked(bench, peer, WAITERS, place.env) as parked:
        opened = now()
        parked.go_on()
        parked.phase("parked")
        end = now()
    def per(a, b):
        return {"ns": (sum(b) - sum(a)) / WAITERS, "private": (b[0] - a[0]) / WAITERS,
                "engine_file": (b[1] - a[1]) / WAITERS}
    return per(before, end), per(before, opened), per(opened, end)


def memory_files(bench, name):
    with contextlib.ExitStack() as stack:
        both, handle, wait = memory_of(bench, bench.places.mount_ipcfs(stack), "files")
    return {"files": both, "files-open": handle, "files-wait": wait}


def memory_null(bench, name):
    with contextlib.ExitStack() as stack:
        return {name: memory_of(bench, bench.places.mount_null(stack), "null")[0]}


MEMORY = {"files": "ipcfs: open and wait", "files-open": "ipcfs: open alone",
          "files-wait": "ipcfs: wait alone", "null": "empty FUSE: open and wait"}
