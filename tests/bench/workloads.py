# SPDX-License-Identifier: MIT
"""What is measured: each workload has peers, which are measured in turns, and aims.

A peer is measured by a function that gets the Bench (bench.py) and gives {name: {"ns": number}}
for itself or, where several can only be measured together, for all of them.
"""
import contextlib
import re

import bulk
import scale

LABELS = {
    "direct": "ipcfs direct", "direct-many": "ipcfs direct, 64 a call",
    "direct-unbounded": "ipcfs direct, no bound", "direct-lent": "ipcfs direct, in place", "direct-sem": "ipcfs direct, .sem",
    "direct-event": "ipcfs direct, .event: set, clear", "direct-wait": "ipcfs direct, .event: wait, set",
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
    """median(peer) <= factor * median(reference); without a reference: <= factor (ns, bytes).

    beside: what another peer grows by, as (peer, reference): the factor is by how much more.
    """

    def __init__(self, peer, factor, reference=None, strict=False, beside=None):
        self.peer, self.factor, self.reference, self.strict = peer, factor, reference, strict
        self.beside = beside


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
    """A program whose last argument is the number of repetitions; bench.py finds out how many are enough."""
    def measure(bench, name):
        return {name: bench.run(*words, str(bench.count(name, words)))}
    return measure


def timed(*words, factor=1):
    """A program whose last argument is its duration in milliseconds."""
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
LOCKS = ["direct", "direct-sem", "direct-event", "direct-wait", "files", "files-read", "null", "mutex", "robust", "sem", "flock",
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


OPS_COUNTED = {"direct": "put and get 64 bytes", "direct-many": "the same, 64 a call",
               "direct-sem": "take and give a permit", "direct-event": "set, wait, clear"}


def instructions():
    """As valgrind counts them: the same on every machine, however busy."""
    def executed(bench, op, count):
        text = bench.output("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
                            bench.program("ops"), op, str(count))
        return int(re.search(r"Collected : (\d+)", text).group(1))

    def measure(bench, name):
        few, many = 640, 6400
        more = executed(bench, name, many) - executed(bench, name, few)
        return {name: {"ns": more / (1.1 * (many - few))}}      # ops warms up with a tenth
    return dict.fromkeys(OPS_COUNTED, measure)


# ---- all of them ------------------------------------------------------------------------------

def together(names, measure):
    """Peers that one function measures all at once."""
    return {name: measure if i == 0 else None for i, name in enumerate(names)}


def grow_aims(labels, small, large):
    """Nothing costs more than 1.2 times as much with `large` as with `small`."""
    return [Aim(name, 1.2, name.removesuffix(large) + small) for name in labels
            if name.endswith(large)]


def all_workloads(quick):
    few, _, many = scale.sizes(quick)
    one_way = [Aim("direct", 0.7, "boost"), Aim("direct", 1 / 10, "mq"),
               Aim("direct", 1 / 15, "mp"), Aim("direct", 1 / 3, "fifo"),
               Aim("direct-many", 40)]
    wakes = [Aim("direct", 1.1, "futex-each"), Aim("files", 1.25, "null")]
    return [
        Workload("oneway-64", "One way, 64 bytes a message", queue(QUEUES, 1, 64), one_way),
        Workload("oneway-64k", "One way, 64 KiB a message", queue([*QUEUES, "direct-lent"], 1, 65536),
                 [Aim(peer, factor, other) for peer in ("direct", "direct-unbounded")
                  for factor, other in ((1 / 1.2, "boost"), (1 / 2, "fifo"))],
                 context=lambda bench: bench.queue_64k),
        Workload("4x4", "Four producers, four consumers, 64 bytes", queue(QUEUES, 4, 64),
                 [Aim("direct", 0.8, "boost")]),
        Workload("pingpong", "Round trip through two objects, on one CPU", pingpong(0),
                 [Aim("direct", 1.2, "eventfd"), Aim("direct-sem", 1.2, "eventfd")]),
        Workload("pingpong-2", "Round trip through two objects, any CPU", pingpong(-1)),
        Workload("lock", "Lock and unlock, nobody else", lock(1),
                 [Aim("direct", 1.5, "robust"), Aim("direct-sem", 1.5, "sem"),
                  Aim("direct-event", 1.5, "sem"), Aim("direct-wait", 1.5, "sem")]),
        Workload("lock-4", "Lock and unlock, four processes", lock(4),
                 [Aim("direct", 2, "robust"), Aim("direct-sem", 2, "sem"),
                  Aim("direct-event", 2, "sem"), Aim("direct-wait", 2, "sem")]),
        Workload("instructions", "Instructions of one operation", instructions(),
                 [Aim("direct", 700)], labels=OPS_COUNTED, unit="instructions", most_rounds=1),
        Workload("wake-1000", "Wake 1,000 waiters, for each", wake(1000), wakes,
                 most_rounds=5),
        Workload("wake-5000", "Wake 5,000 waiters, for each", wake(5000), wakes,
                 most_rounds=3),
        Workload("bulk", "Many short lines, for each line",
                 {**together(["put", "stream"], bulk.put_get), "both": bulk.both,
                  "fifo": bulk.fifo, "redis": bulk.redis},
                 [Aim("stream", 100), Aim("both", 0.2, "redis"), Aim("put", 0.2, "redis")],
                 base="stream", labels=bulk.BULK, before=bulk.before),
        Workload("ls", "ls -l of 10,000, for each entry",
                 {"files": bulk.ls("ls_ipc"), "tmpfs": bulk.ls("ls_tmp")},
                 [Aim("files", 1.5, "tmpfs")], base="files",
                 labels={"tmpfs": "files on tmpfs"}, before=bulk.ls_before),
        Workload("create", "Names that come and go, client and daemon on one CPU",
                 {op: scale.create(op) for op in scale.CREATE},
                 [Aim(op, 3, f"null-{op}") for op in ("create", "name", "folder")],
                 base=None, labels=scale.CREATE, before=scale.floor_before),
        Workload("scale-objects", "One operation, the more objects", scale.objects_peers(quick),
                 grow_aims(scale.objects_labels(quick), f"-{few}", f"-{many}"), base=None,
                 labels=scale.objects_labels(quick), before=scale.objects_before),
        Workload("scale-waiters", "One operation, many wait elsewhere",
                 {**together(scale.BESIDE, scale.beside_waiters("files", scale.OPS_BESIDE)),
                  **together(scale.BESIDE_NULL, scale.beside_waiters("null", ["null"]))},
                 grow_aims(scale.BESIDE, "-1", "-10000") + [Aim("event-10000", 1.25, "null-10000")],
                 base=None, labels={**scale.BESIDE, **scale.BESIDE_NULL},
                 before=scale.waiters_before, most_rounds=3),
        Workload("scale-line", "One of many in line is served",
                 {f"{peer}-{n}": scale.in_line(peer, n)
                  for peer in scale.LINES for n in (1, 100, 10000)},
                 [Aim("files-10000", 1.1, "files-1", beside=("null-10000", "null-1")),
                  Aim("direct-10000", 1.5, "direct-1", beside=("futex-10000", "futex-1"))],
                 base=None, labels=scale.LINE, before=scale.waiters_before,
                 most_rounds=3),
        Workload("memory", "Daemon memory for each of 10,000 that wait",
                 {**together(["files", "files-open", "files-wait"], scale.memory_files),
                  "null": scale.memory_null},
                 [Aim("files-wait", 512)], base="files", labels=scale.MEMORY, unit="B", most_rounds=3),
        Workload("floor", "Requests, client and daemon on one CPU",
                 together(scale.FLOOR, scale.floor_all),
                 [Aim("event", 1.1, "null-read"), Aim("value", 1.1, "null-read"),
                  Aim("queue", 1.1, "null-write-read"), Aim("lock", 1.1, "null-flock")],
                 base=None, labels=scale.FLOOR, before=scale.floor_before),
        Workload("shell", "A bash puts and gets, shell and daemon on one CPU",
                 together(scale.SHELL, scale.shell_all), [Aim("shell", 1.15, "null-shell")],
                 base=None, labels=scale.SHELL, before=scale.floor_before),
    ]
