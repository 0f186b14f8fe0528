# SPDX-License-Identifier: MIT
"""What is measured: each workload has peers, which are measured in turns, and aims.

A peer is measured by a function that gets the Bench (bench.py) and gives {name: {"ns": number}}
for itself or, where several can only be measured together, for all of them.
"""
import contextlib
import os
import subprocess
import time

from places import Failed

LABELS = {
    "direct": "ipcfs direct", "direct-many": "ipcfs direct, 64 a call",
    "direct-unbounded": "ipcfs direct, no bound", "direct-sem": "ipcfs direct, .sem",
    "direct-own": "ipcfs direct, a handle each", "files": "ipcfs files",
    "files-read": "ipcfs files, read/write", "fifo": "FIFO", "seqpacket": "Unix seqpacket",
    "mq": "POSIX mq (10 messages)", "boost": "Boost.Interprocess", "redis": "Redis",
    "redis-pipelined": "Redis, 64 at once", "mp": "Python multiprocessing",
    "eventfd": "eventfd", "sem": "POSIX semaphore", "futex": "bare futex", "null": "empty FUSE",
    "mutex": "pthread mutex", "robust": "robust mutex", "flock": "flock on tmpfs",
    "futex-each": "futex, a word each", "futex-one": "futex, one word",
    "cond": "pthread cond broadcast",
}


class Aim:
    """median(peer) <= factor * median(reference); without a reference: <= factor (ns, bytes)."""

    def __init__(self, peer, factor, reference=None, strict=False):
        self.peer, self.factor, self.reference, self.strict = peer, factor, reference, strict


class Workload:
    def __init__(self, name, title, peers, aims=(), base="direct", unit="ns", most_rounds=None,
                 labels=(), before=None, context=None):
        self.name, self.title, self.peers, self.aims = name, title, peers, list(aims)
        self.base, self.unit, self.most_rounds = base, unit, most_rounds
        self.labels = {**LABELS, **dict(labels)}
        self.before = before        # before(bench): what all its peers need
        self.context = context or (lambda bench: contextlib.nullcontext())


# ---- peers that are one call of a program --------------------------------------------------

def counted(*words):
    """A program whose last argument is how often; bench.py finds out how often is enough."""
    def measure(bench, name):
        return {name: bench.run(*words, str(bench.count(name, words)))}
    return measure


def timed(*words, factor=1):
    """A program whose last argument is for how many milliseconds."""
    def measure(bench, name):
        return {name: bench.run(*words, str(bench.target_ms * factor))}
    return measure


def fixed(*words):
    def measure(bench, name):
        return {name: bench.run(*words)}
    return measure


def queue(peers, producers, size):
    end = [str(producers), str(producers), str(size)]
    table = {p: counted("queue", p, *end) for p in peers}
    table["mp"] = counted("mp.py", "queue", *end)
    return table


QUEUES = ["direct", "direct-many", "direct-unbounded", "files", "fifo", "seqpacket", "mq", "boost",
          "redis", "redis-pipelined"]
TOKENS = ["direct", "direct-sem", "files", "null", "fifo", "eventfd", "seqpacket", "mq", "sem",
          "boost", "futex", "redis"]
LOCKS = ["direct", "direct-sem", "files", "files-read", "null", "mutex", "robust", "sem", "flock",
         "redis"]
WAKES = ["direct", "direct-own", "files", "null", "futex-each", "futex-one", "cond"]


def pingpong(cpu):
    table = {p: counted("pingpong", p, str(cpu)) for p in TOKENS}
    table["mp"] = counted("mp.py", "pingpong", str(cpu))
    return table


def lock(processes):
    factor = 1 if processes == 1 else 2
    table = {p: timed("lock", p, str(processes), factor=factor) for p in LOCKS}
    table["mp"] = timed("mp.py", "lock", str(processes), factor=factor)
    return table


def wake(n):
    repetitions = "5" if n <= 1000 else "3"
    return {p: fixed("wake", p, str(n), repetitions) for p in WAKES}


# A request that crosses CPUs takes between one and four times as long, as it happens. Where that would
# hide what is asked for, the daemon and its client share a CPU.
ONE_CPU = {"BENCH_CPU": "0"}


# ---- floor: two daemons on one CPU ------------------------------------------------------------

def floor_before(bench):
    ipc = bench.places.mount_ipcfs(cpu=0)
    null = bench.places.mount_null(cpu=0)
    bench.floor_env = {**ipc.env, **null.env, **ONE_CPU}


def floor_all(bench, name):
    return bench.run("floor", str(20 if bench.quick else 60), env=bench.floor_env)


FLOOR = {
    "event": "ipcfs: read a set event", "value": "ipcfs: read a value",
    "null-read": "empty FUSE: read", "queue": "ipcfs: write 2 bytes + read (queue)",
    "null-write-read": "empty FUSE: write + read", "lock": "ipcfs: flock + unlock",
    "null-flock": "empty FUSE: flock + unlock",
}


# ---- bulk -------------------------------------------------------------------------------------

def spent(*commands, env=None, limit=60):
    """Nanoseconds from the start of the commands to the end of the last. (WORDS, IN, OUT) each."""
    with contextlib.ExitStack() as stack:
        started = []
        start = time.monotonic_ns()
        for words, stdin, stdout in commands:
            streams = [stack.enter_context(open(f, mode)) if f else subprocess.DEVNULL
                       for f, mode in ((stdin, "rb"), (stdout, "wb"))]
            started.append(subprocess.Popen(["timeout", "-k", "2", str(limit), *words],
                                            stdin=streams[0], stdout=streams[1],
                                            stderr=subprocess.PIPE, env=env))
        texts = [process.communicate()[1] for process in started]
        end = time.monotonic_ns()
    for process, text, (words, _, _) in zip(started, texts, commands):
        if process.returncode:
            raise Failed(f"{words[0]} ended with {process.returncode}: "
                         f"{text.decode(errors='replace').strip()[-200:]}")
    return end - start


def bulk_before(bench):
    path = os.path.join(bench.places.tmp, "commands")
    with open(path, "w") as f:
        for i in range(1, bench.lines + 1):
            f.write(f"RPUSH bulk {i}\r\n")
    bench.bulk_commands = path


def seq(bench, out):
    return (["seq", str(bench.lines)], None, out)


def lines(bench, path):
    return ([bench.program("lines"), path, str(bench.lines)], None, None)


def per_line(bench, ns):
    return {"ns": ns / bench.lines}


@contextlib.contextmanager
def line_queue(bench):
    path = os.path.join(bench.ipc.path, "bulk.queue")
    with open(path, "x"):
        pass
    try:
        yield path
    finally:
        os.unlink(path)


def bulk_put_get(bench, name):
    with line_queue(bench) as q:
        put = spent(seq(bench, q))
        get = spent(lines(bench, q + ".ctl/stream"))
    return {"put": per_line(bench, put), "stream": per_line(bench, get)}


def bulk_both(bench, name):
    with line_queue(bench) as q:
        return {name: per_line(bench, spent(lines(bench, q + ".ctl/stream"), seq(bench, q)))}


def bulk_fifo(bench, name):
    path = os.path.join(bench.places.tmp, "bulk.fifo")
    os.mkfifo(path)
    try:
        # Each opening waits for the other side: so the shell opens them.
        script = 'seq "$1" > "$2" & "$3" "$2" "$1" && wait $!'
        ns = spent((["sh", "-c", script, "sh", str(bench.lines), path, bench.program("lines")],
                    None, None))
    finally:
        os.unlink(path)
    return {name: per_line(bench, ns)}


def bulk_redis(bench, name):
    cli = ["redis-cli", "-s", bench.env["BENCH_REDIS"]]
    ns = spent(([*cli, "--pipe"], bench.bulk_commands, None))
    n = subprocess.run([*cli, "LLEN", "bulk"], capture_output=True, text=True, timeout=20,
                       check=True).stdout.strip()
    subprocess.run([*cli, "DEL", "bulk"], capture_output=True, timeout=20, check=True)
    if n != str(bench.lines):
        raise Failed(f"{n} of {bench.lines} lines came")
    return {name: per_line(bench, ns)}


BULK = {
    "put": "ipcfs files: seq > queue", "stream": "ipcfs files: read ctl/stream",
    "both": "ipcfs files: both at once", "fifo": "FIFO: both at once",
    "redis": "redis-cli --pipe (RPUSH)",
}


# ---- ls ---------------------------------------------------------------------------------------

OBJECTS = 10000


def ls_before(bench):
    bench.ls_ipc = bench.places.mount_ipcfs().path
    bench.ls_tmp = os.path.join(bench.places.tmp, "ls")
    os.mkdir(bench.ls_tmp)
    for folder in (bench.ls_ipc, bench.ls_tmp):
        bench.run("ops", "fill", folder, str(OBJECTS), silent=True)


def ls(which):
    def measure(bench, name):
        ns = spent((["ls", "-l", getattr(bench, which)], None, None))
        return {name: {"ns": ns / OBJECTS}}
    return measure


# ---- scale ------------------------------------------------------------------------------------

def scale_sizes(bench):
    return (10, 1000, 10000 if bench.quick else 100000)


def scale_before(bench):
    bench.scale_env = {}
    for n, key in zip(scale_sizes(bench), ("few", "some", "many")):
        place = bench.places.mount_ipcfs(cpu=0, objects=n + 100)
        bench.scale_env[key] = {**place.env, **ONE_CPU}
        bench.run("ops", "fill", place.path, str(n), env=ONE_CPU, silent=True, limit=60)


def waiters_before(bench):
    ipc, null = bench.places.mount_ipcfs(cpu=0), bench.places.mount_null(cpu=0)
    bench.waiters_env = {**ipc.env, **null.env, **ONE_CPU}


def in_objects(op, key):
    def measure(bench, name):
        n = bench.count(name, ("ops", op), env=bench.scale_env[key])
        return {name: bench.run("ops", op, str(n), env=bench.scale_env[key])}
    return measure


class Parked:
    """Waiters that somebody else holds: the program park, in its phases."""

    def __init__(self, bench, peer, n, env=None):
        limit = str(bench.limit * 3)
        self.process = subprocess.Popen([bench.program("park"), peer, str(n)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, start_new_session=True,
                                        env={**bench.env, **(env or {}), "BENCH_LIMIT": limit})

    def phase(self, word):
        if self.process.stdout.readline().strip() != word:
            raise Failed(self.process.stderr.read().strip() or f"park did not say {word}")

    def go_on(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def __enter__(self):
        self.phase("open")
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.communicate(timeout=60)


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


def objects_peers():
    return {f"{op}-{key}": in_objects(op, key)
            for op in ("files", "direct", "create") for key in ("few", "some", "many")}


OPS = {"files": "files put+get", "direct": "direct put+get", "create": "create+rm",
       "event": "files: set an event", "event-direct": "direct: set an event"}
MANY = {"few": "10 objects", "some": "1,000 objects", "many": "most objects"}
OBJECTS_LABELS = {f"{op}-{key}": f"{OPS[op]}, {MANY[key]}"
                  for op in ("files", "direct", "create") for key in MANY}
OPS_BESIDE = ("files", "direct", "event", "event-direct")
BESIDE = {f"{op}-{n}": f"{OPS[op]}, {n:,} wait elsewhere"
          for op in OPS_BESIDE for n in (1, 100, 10000)}
BESIDE_NULL = {f"null-{n}": f"empty FUSE: a write, {n:,} wait elsewhere" for n in (1, 100, 10000)}
LINES = {"files": "ipcfs files", "direct": "ipcfs direct", "null": "empty FUSE",
         "sem": "POSIX semaphore"}
LINE = {f"{peer}-{n}": f"{label}: release to one of {n:,}"
        for peer, label in LINES.items() for n in (1, 100, 10000)}


# ---- memory -----------------------------------------------------------------------------------

WAITERS = 10000


def private_memory(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        for line in f:
            if line.startswith("Pss_Anon:"):
                return int(line.split()[1]) * 1024
    raise Failed("the kernel does not tell Pss_Anon")


def shared_memory(place):
    """All of the state directory, as the file system has it: blocks, not lengths."""
    total = 0
    for folder, _, names in os.walk(place.state or "/nowhere"):
        total += sum(os.lstat(os.path.join(folder, name)).st_blocks * 512 for name in names)
    return total


def memory_of(bench, place, peer):
    def now():
        return private_memory(place.worker()), shared_memory(place)

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


# ---- all of them ------------------------------------------------------------------------------

def together(names, measure):
    """Peers that one function measures all at once."""
    return {name: measure if i == 0 else None for i, name in enumerate(names)}


def grow_aims(labels, small, large):
    return [Aim(name, 1.2, name.removesuffix(large) + small)
            for name in labels if name.endswith(large) and name.removesuffix(large) + small in labels]


def all_workloads():
    one_way = [Aim("direct", 1, "boost", strict=True), Aim("direct", 1 / 10, "mq"),
               Aim("direct", 1 / 15, "mp"), Aim("direct", 1 / 3, "fifo"),
               Aim("direct-many", 1 / 3, "direct")]
    wakes = [Aim("direct", 1.1, "futex-each"), Aim("files", 1.25, "null")]
    return [
        Workload("oneway-64", "One way, 64 bytes a message", queue(QUEUES, 1, 64), one_way),
        Workload("oneway-64k", "One way, 64 KiB a message", queue(QUEUES, 1, 65536),
                 context=lambda bench: bench.queue_64k),
        Workload("4x4", "Four producers, four consumers, 64 bytes", queue(QUEUES, 4, 64)),
        Workload("pingpong", "Round trip through two objects, on one CPU", pingpong(0),
                 [Aim("direct", 1.2, "eventfd"), Aim("direct-sem", 1.2, "eventfd")]),
        Workload("pingpong-2", "Round trip through two objects, any CPU", pingpong(-1)),
        Workload("lock", "Lock and unlock, nobody else", lock(1),
                 [Aim("direct", 1.5, "robust")]),
        Workload("lock-4", "Lock and unlock, four processes", lock(4),
                 [Aim("direct", 2, "robust")]),
        Workload("wake-1000", "Wake 1,000 waiters, for each", wake(1000), wakes,
                 most_rounds=5),
        Workload("wake-5000", "Wake 5,000 waiters, for each", wake(5000), wakes,
                 most_rounds=3),
        Workload("bulk", "Many short lines, for each line",
                 {**together(["put", "stream"], bulk_put_get), "both": bulk_both,
                  "fifo": bulk_fifo, "redis": bulk_redis},
                 [Aim("stream", 100), Aim("both", 0.2, "redis"), Aim("put", 0.2, "redis")],
                 base="stream", labels=BULK, before=bulk_before),
        Workload("ls", "ls -l of 10,000, for each entry",
                 {"files": ls("ls_ipc"), "tmpfs": ls("ls_tmp")}, [Aim("files", 1.5, "tmpfs")],
                 base="files", labels={"tmpfs": "files on tmpfs"}, before=ls_before),
        Workload("scale-objects", "One operation, the more objects", objects_peers(),
                 grow_aims(OBJECTS_LABELS, "few", "many"), base=None, labels=OBJECTS_LABELS,
                 before=scale_before),
        Workload("scale-waiters", "One operation, many wait elsewhere",
                 {**together(BESIDE, beside_waiters("files", OPS_BESIDE)),
                  **together(BESIDE_NULL, beside_waiters("null", ["null"]))},
                 grow_aims(BESIDE, "-1", "-10000") + [Aim("event-10000", 1.25, "null-10000")],
                 base=None, labels={**BESIDE, **BESIDE_NULL}, before=waiters_before, most_rounds=3),
        Workload("scale-line", "One of many in line is served",
                 {f"{peer}-{n}": in_line(peer, n) for peer in LINES for n in (1, 100, 10000)},
                 [Aim(f"{peer}-10000", 1.2, f"{peer}-1") for peer in ("files", "direct")] +
                 [Aim("files-10000", 1.25, "null-10000"), Aim("direct-10000", 1.25, "sem-10000")],
                 base=None, labels=LINE, before=waiters_before,
                 most_rounds=3),
        Workload("memory", "Daemon memory for each of 10,000 that wait",
                 {**together(["files", "files-open", "files-wait"], memory_files),
                  "null": memory_null},
                 [Aim("files", 512)], base="files", labels=MEMORY, unit="B", most_rounds=3),
        Workload("floor", "Requests, client and daemon on one CPU", together(FLOOR, floor_all),
                 [Aim("event", 1.1, "null-read"), Aim("value", 1.1, "null-read"),
                  Aim("queue", 1.1, "null-write-read"), Aim("lock", 1.1, "null-flock")],
                 base=None, labels=FLOOR, before=floor_before),
    ]
