#!/usr/bin/env python3
"""Torture: clients work through files while SIGKILL hits the worker at random moments.

    torture.py --mount /ipc --kills 1000 --kill-clients
    torture.py --ipcfs build/fs/ipcfs --kills 50 --objects 10000

No client may see an error or hang; every message arrives once and each producer's in order;
sums are right, no permit leaks, memory returns to where it was (clients.py works, check.py
judges). Prints how long a request waited because of a restart. Exit code 0 only if all is well;
the same --seed gives the same decisions, though not the same timing.
"""
import argparse
import os
import pathlib
import random
import select
import shutil
import signal
import statistics
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from kit import IPCFS, Mount, Running, T  # noqa: E402
from kit.proc import ended_within, status_number  # noqa: E402
from session import Failure, Session  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--mount", help="use this running mount")
    where.add_argument("--ipcfs", default=IPCFS, help="start this binary (default: %(default)s)")
    parser.add_argument("--kills", type=int, default=50, help="kills of the worker")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--kill-clients", action="store_true", help="kill clients as well")
    parser.add_argument("--direct", help="half of the clients work directly, with this program")
    parser.add_argument("--patience", type=float, default=2,
                        help="seconds after which a sleeping direct client counts as not woken")
    parser.add_argument("--gap", type=float, default=0.05,
                        help="mean seconds between two kills (default: %(default)s)")
    parser.add_argument("--objects", type=int, default=100, help="additional idle objects")
    parser.add_argument("--ignore-worker-memory", action="store_true",
                        help="the daemon runs under a sanitizer, which keeps freed memory")
    parser.add_argument("--limit", type=float, default=60, help="seconds that count as a hang")
    parser.add_argument("--max-wait", type=float, default=None,
                        help="fail if the median wait for a restart exceeds this many milliseconds")
    return parser.parse_args()


def memory_of(mount):
    """Bytes of state, and the worker's own memory."""
    stat = os.statvfs(mount.dir)
    return ((stat.f_blocks - stat.f_bfree) * stat.f_frsize,
            status_number(mount.worker(), "RssAnon") * 1024)


# --- the kills -------------------------------------------------------------------------------

def kill_worker(mount, probe):
    """SIGKILL the worker; returns the seconds until a request made after its death is answered."""
    pid = mount.worker()
    fd = os.pidfd_open(pid)
    try:
        start = time.monotonic()
        signal.pidfd_send_signal(fd, signal.SIGKILL)
        if not ended_within(pid, T(10)):
            raise Failure(f"the worker {pid} survives SIGKILL")
        os.stat(probe)
        return time.monotonic() - start
    finally:
        os.close(fd)


def torment(mount, session, options, rng):
    waits = []
    supervisor = mount.supervisor()
    for kill in range(options.kills):
        select.select([], [], [], rng.expovariate(1 / options.gap))   # load between the kills
        waits.append(kill_worker(mount, os.path.join(session.folder, "plain.queue")))
        session.check_alive()
        if options.kill_clients and rng.random() < 0.5:
            session.kill_one(rng)
        if sys.stdout.isatty():
            print(f"\r{kill + 1} kills", end="", flush=True)
    if mount.supervisor() != supervisor:
        raise Failure("the supervisor was replaced")
    return waits


def report(waits):
    if waits:
        ms = sorted(1000 * wait for wait in waits)
        print(f"\nwait for a restart: median {statistics.median(ms):.1f} ms, "
              f"max {ms[-1]:.1f} ms, {len(ms)} kills")


def check_memory(before, after, ignore_worker):
    for what, old, new in zip(("state", "worker"), before, after):
        print(f"memory of {what}: {old >> 10} KiB before, {new >> 10} KiB after")
        if new > old * 1.25 + (4 << 20) and not (ignore_worker and what == "worker"):
            yield f"memory of {what} grew from {old} to {new} bytes"


def run(options, mount):
    rng = random.Random(options.seed)
    folder = mount.path(f"torture-{os.getpid()}")
    mode = "kill-clients" if options.kill_clients else "kill-worker"
    # A first session without kills makes the objects as large as the load makes them.
    warm = Session(folder, options, "warm-up")
    used = []
    problems = []
    try:
        warm.begin()
        warm.await_turns(20)
        problems += warm.end()
        used.append(memory_of(mount))
    finally:
        warm.kill_all()
    session = Session(folder, options, mode)
    try:
        session.begin()
        session.await_turns(1)
        waits = torment(mount, session, options, rng)
        session.await_turns(5)
        problems += session.end()
        report(waits)
        if options.max_wait and waits and statistics.median(waits) * 1000 > options.max_wait:
            problems.append(f"median wait over {options.max_wait} ms")
        used.append(memory_of(mount))
        problems += check_memory(*used, options.ignore_worker_memory)
        for name in ("waiters", "holders"):
            text = pathlib.Path(mount.path(f".ctl/{name}")).read_text("utf-8")
            if folder.rsplit("/", 1)[1] in text:
                problems.append(f".ctl/{name} is not empty:\n{text}")
        print(f"turns: {session.turns()}")
    finally:
        session.kill_all()
    shutil.rmtree(folder)
    return problems


def main():
    options = arguments()
    if options.seed is None:
        options.seed = random.randrange(1 << 32)
    print(f"seed {options.seed}", flush=True)

    def too_long(signum, frame):
        raise Failure("the test itself hangs")

    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(int(T(180 + 5 * options.limit + options.kills * (options.gap + 5))))
    mount, problems = None, []
    try:
        mount = Running(options.mount) if options.mount else Mount(program=options.ipcfs).start()
        problems = run(options, mount)
    except (AssertionError, OSError) as error:
        problems = [f"{type(error).__name__}: {error}"]
    finally:
        if mount and not options.mount:
            try:
                mount.end()
            except AssertionError as error:
                problems.append(str(error))
    for problem in problems:
        print("WRONG:", problem)
    print("all is well" if not problems else f"{len(problems)} problems, "
          f"seed {options.seed}")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
