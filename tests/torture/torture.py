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
import subprocess
import sys
import tempfile
import time

from session import Failure, Session

HERE = pathlib.Path(__file__).resolve().parent


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--mount", help="use this running mount")
    where.add_argument("--ipcfs", default=HERE.parents[1] / "build/fs/ipcfs",
                       help="start this binary (default: %(default)s)")
    parser.add_argument("--kills", type=int, default=50, help="kills of the worker")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--kill-clients", action="store_true", help="kill clients as well")
    parser.add_argument("--direct", help="half of the clients work directly: this program")
    parser.add_argument("--patience", type=float, default=2,
                        help="seconds after which a direct client that still sleeps was not woken")
    parser.add_argument("--gap", type=float, default=0.05,
                        help="mean seconds between two kills (default: %(default)s)")
    parser.add_argument("--objects", type=int, default=100, help="idle objects beside")
    parser.add_argument("--ignore-worker-memory", action="store_true",
                        help="the daemon has a sanitizer, which keeps what was freed")
    parser.add_argument("--limit", type=float, default=60, help="seconds that count as a hang")
    parser.add_argument("--max-wait", type=float, default=None,
                        help="fail when the median wait for a restart is more milliseconds")
    return parser.parse_args()


# --- the mount -------------------------------------------------------------------------------

class Mount:
    """A running mount, or one of our own."""

    def __init__(self, path, binary):
        self.process, self.base, self.path = None, None, path
        if path is None:
            self.base = tempfile.mkdtemp(prefix="ipcfs-torture-", dir="/dev/shm")
            self.path = os.path.join(self.base, "mnt")
            os.mkdir(self.path)
            os.mkdir(os.path.join(self.base, "state"), 0o700)
            try:
                self.process = subprocess.Popen([binary, "-f", "-o", f"state={self.base}/state",
                                                 self.path])
                self.await_start()
            except BaseException:
                if self.process:
                    self.process.terminate()
                    self.process.wait(20)
                shutil.rmtree(self.base, ignore_errors=True)
                raise

    def await_start(self):
        with open("/proc/self/mountinfo", encoding="utf-8") as table:
            poll, end = select.poll(), time.monotonic() + 20
            poll.register(table, select.POLLPRI | select.POLLERR)
            while not os.path.ismount(self.path):
                if time.monotonic() > end or self.process.poll() is not None:
                    raise Failure("ipcfs does not mount")
                poll.poll(200)

    def worker(self):
        """The worker's pid, as the worker that answers says it."""
        return self.status("worker")

    def status(self, key):
        with open(os.path.join(self.path, ".ctl/status"), encoding="utf-8") as file:
            for line in file:
                name, _, text = line.partition(":")
                if name == key:
                    return int(text)
        raise Failure(f"no {key!r} in .ctl/status")

    def used(self):
        """Bytes of state, and the worker's own memory."""
        stat = os.statvfs(self.path)
        with open(f"/proc/{self.worker()}/status", encoding="utf-8") as file:
            own = next(int(line.split()[1]) for line in file if line.startswith("RssAnon"))
        return (stat.f_blocks - stat.f_bfree) * stat.f_frsize, own * 1024

    def end(self):
        if self.process is None:
            return
        subprocess.run(["fusermount3", "-u", "-z", self.path], check=False, timeout=20)
        try:
            code = self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(20)
            raise Failure("the supervisor does not end after unmount") from None
        shutil.rmtree(self.base, ignore_errors=True)
        if code:
            raise Failure(f"ipcfs ended with code {code}")


# --- the kills -------------------------------------------------------------------------------

def kill_worker(mount, probe):
    """SIGKILL to the worker; the seconds until a request made after its death is answered."""
    pid = mount.worker()
    fd = os.pidfd_open(pid)
    try:
        start = time.monotonic()
        signal.pidfd_send_signal(fd, signal.SIGKILL)
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        if not poll.poll(10_000):
            raise Failure(f"the worker {pid} survives SIGKILL")
        os.stat(probe)
        return time.monotonic() - start
    finally:
        os.close(fd)


def torment(mount, session, options, rng):
    waits = []
    supervisor = mount.status("supervisor")
    for kill in range(options.kills):
        select.select([], [], [], rng.expovariate(1 / options.gap))   # load between the kills
        waits.append(kill_worker(mount, os.path.join(session.folder, "plain.queue")))
        session.check_alive()
        if options.kill_clients and rng.random() < 0.5:
            session.kill_one(rng)
        if sys.stdout.isatty():
            print(f"\r{kill + 1} kills", end="", flush=True)
    if mount.status("supervisor") != supervisor:
        raise Failure("the supervisor is another one now")
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
    folder = os.path.join(mount.path, f"torture-{os.getpid()}")
    mode = "kill-clients" if options.kill_clients else "kill-worker"
    # A first session without kills makes the objects as large as the load makes them.
    warm = Session(folder, options, "warm-up")
    used = []
    problems = []
    try:
        warm.begin()
        warm.await_turns(20)
        problems += warm.end()
        used.append(mount.used())
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
        used.append(mount.used())
        problems += check_memory(*used, options.ignore_worker_memory)
        for name in ("waiters", "holders"):
            text = pathlib.Path(mount.path, ".ctl", name).read_text("utf-8")
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
        raise Failure("the torture itself hangs")

    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(int(180 + 5 * options.limit + options.kills * (options.gap + 5)))
    mount, problems = None, []
    try:
        mount = Mount(options.mount, options.ipcfs)
        problems = run(options, mount)
    except (Failure, OSError) as error:
        problems = [f"{type(error).__name__}: {error}"]
    finally:
        if mount:
            try:
                mount.end()
            except Failure as error:
                problems.append(str(error))
    for problem in problems:
        print("WRONG:", problem)
    print("all is well" if not problems else f"{len(problems)} things are wrong, "
          f"seed {options.seed}")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
