"""The clients of one torture run: started, killed and replaced, stopped, and judged."""
import collections
import fcntl
import os
import pathlib
import select
import shutil
import sys
import tempfile
import time

import check
from kit import ClientTimeout, Proc, T, stacks

HERE = pathlib.Path(__file__).resolve().parent

ALONE = {"producer": 3, "consumer": 3, "lease_producer": 1, "leaser": 3, "locker": 2,
         "rlocker": 2, "semaphore": 5, "maker": 2, "taker": 3, "adder": 2, "looker": 1,
         "namer": 1, "timer": 1, "recorder": 2, "record_reader": 1, "echoer": 2,
         "shell_reader": 1}                      # role: how many
GROUPS = {"barrier": ["barrier"] * 4, "talk": ["asker", "answerer"]}
# These stop when what they read has ended.
DRAINERS = ("consumer", "leaser", "taker", "record_reader", "shell_reader")
QUEUES = {"plain.queue": {"maxsize": 200}, "lease.queue": {"maxsize": 50},
          "record.queue": {"maxsize": 4, "maxbytes": 1_500_000}, "shell.queue": {"maxsize": 4}}


DIRECT = {"producer", "consumer", "locker", "rlocker", "semaphore", "maker", "taker", "adder"}


class Failure(AssertionError):
    pass


class Client(Proc):
    def __init__(self, session, role, name):
        self.role, self.name = role, name
        program, more = [sys.executable, "-I", "-S", HERE / "clients.py"], []
        # Of each role that can be, the odd ones work directly.
        if session.options.direct and role in DIRECT and int(name.partition(".")[0]) % 2:
            program, more = [session.options.direct], [str(T(session.options.patience))]
        super().__init__([*program, role, session.folder, session.logs, name,
                          str(session.options.seed), session.mode, *more],
                         env={"ASAN_OPTIONS": "detect_leaks=0"})

    def __str__(self):
        return f"{self.role} {self.name} (pid {self.pid})"

    def failure(self, limit):
        """What is wrong with the way it ended, or None."""
        try:
            code, _, err = self.finish(limit)
        except ClientTimeout as error:
            return f"{self} hangs: {error}"
        return f"{self}: exit {code}\n{err}" if code else None


class Session:
    """`mode` is warm-up, kill-worker or kill-clients."""

    def __init__(self, folder, options, mode):
        self.folder, self.options, self.mode = folder, options, mode
        self.logs = tempfile.mkdtemp(prefix="torture-logs-")
        self.clients, self.generation = [], collections.Counter()
        self.kills = collections.Counter()
        self.checked = check.Logs(self.logs)

    # --- objects and clients -------------------------------------------------------------------

    def begin(self):
        if not os.path.isdir(self.folder):
            self.make_objects()
        for queue in QUEUES:
            self.tell(f"{queue}.ctl/closed", 0)
        for path, number in (("tokens.value", 0), ("sum.value", 0)):
            self.tell(path, number)
        for role, count in ALONE.items():
            for slot in range(count):
                self.start(role, f"{slot}.0")
        for group in GROUPS:
            self.start_group(group)

    def make_objects(self):
        os.mkdir(self.folder)
        for name in (*QUEUES, "one.lock", "one.rlock", "three.sem", "tokens.cond", "tokens.value",
                     "sum.value", "another.value", "four.barrier", "never.event"):
            self.touch(name)
        for queue, settings in QUEUES.items():
            for name, number in settings.items():
                self.tell(f"{queue}.ctl/{name}", number)
        self.tell("three.sem.ctl/undo", 1)
        self.tell("three.sem", 3)
        self.tell("four.barrier", 4)
        os.mkdir(os.path.join(self.folder, "idle"))
        for i in range(self.options.objects):
            self.touch(f"idle/{i}.{('queue', 'sem', 'value', 'event')[i % 4]}")

    def touch(self, name):
        os.close(os.open(os.path.join(self.folder, name), os.O_CREAT | os.O_RDWR, 0o600))

    def tell(self, name, text):
        fd = os.open(os.path.join(self.folder, name), os.O_WRONLY)
        os.write(fd, f"{text}\n".encode())
        os.close(fd)

    def ask(self, name):
        fd = os.open(os.path.join(self.folder, name), os.O_RDONLY)
        text = os.read(fd, 4096).decode().strip()
        os.close(fd)
        return text

    def start(self, role, name, group=None):
        client = Client(self, role, name)
        client.group = group
        self.clients.append(client)

    def start_group(self, group):
        generation = self.generation[group]
        if group == "talk":
            os.mkdir(os.path.join(self.folder, f"talk{generation}.pipe"))
        for member, role in enumerate(GROUPS[group]):
            self.start(role, f"{generation}-{member}", group)

    # --- while it runs -----------------------------------------------------------------------------

    def check_alive(self):
        """Nobody may end before the stop."""
        for client in self.clients:
            if not client.running:
                raise Failure(client.failure(1) or f"{client} ended by itself")

    def turns(self):
        roles = set(ALONE).union(*GROUPS.values())
        return sum(self.checked.turns(role) for role in roles)

    def log_of(self, client):
        return os.path.join(self.logs, f"{client.role}.{client.name}")

    def await_turns(self, more):
        """Wait until each running client has written that many more lines."""
        def size(client):
            try:
                return os.stat(self.log_of(client)).st_size
            except FileNotFoundError:
                return 0

        def lacks(client, start, lines):
            if size(client) == start:
                return True
            with open(self.log_of(client), "rb") as log:
                log.seek(start)
                return log.read().count(b"\n") < lines

        wanted = [(c, size(c), 1 if c.role == "timer" else more) for c in self.clients]
        end = time.monotonic() + T(self.options.limit)
        while wanted := [task for task in wanted if lacks(*task)]:
            self.check_alive()
            if time.monotonic() > end:
                raise Failure("\n".join(f"{c} hangs\n{stacks([c.pid])}" for c, _, _ in wanted))
            select.select([], [], [], 0.05)

    def kill_one(self, rng):
        """SIGKILL a random client and replace it; if it belongs to a group, replace the whole group."""
        victim = rng.choice(self.clients)
        victim.kill()
        self.kills[victim.role] += 1
        self.clients.remove(victim)
        if victim.group is None:
            slot, _, incarnation = victim.name.partition(".")
            self.start(victim.role, f"{slot}.{int(incarnation) + 1}")
            return
        if victim.group == "barrier":
            self.tell("four.barrier", "abort")
        else:      # it may have died before it opened its end, and the other waits for a first peer
            end = "a" if victim.role == "asker" else "b"
            os.close(os.open(os.path.join(
                self.folder, f"talk{self.generation['talk']}.pipe", end), os.O_RDWR))
        others = [client for client in self.clients if client.group == victim.group]
        self.await_ends(others)
        if victim.group == "barrier":
            self.tell("four.barrier", "reset")
        else:
            os.rmdir(os.path.join(self.folder, f"talk{self.generation['talk']}.pipe"))
        self.generation[victim.group] += 1
        self.start_group(victim.group)

    # --- the end -------------------------------------------------------------------------------------

    def end(self):
        """Stop all clients in order; returns what is wrong."""
        pathlib.Path(self.logs, "stop").touch()
        self.await_ends([c for c in self.clients if c.role not in DRAINERS])
        problems = self.drain_tokens()
        for queue in QUEUES:
            self.tell(f"{queue}.ctl/closed", 1)
        self.await_ends(list(self.clients))
        return problems + self.judge()

    def drain_tokens(self):
        """Every token was notified, so the takers take them all; then send them home."""
        end = time.monotonic() + T(self.options.limit)
        while (left := self.ask("tokens.value")) != "0":
            if time.monotonic() > end:
                return [f"{left} tokens are left that nobody was notified of"]
            select.select([], [], [], 0.02)
        cond = os.open(os.path.join(self.folder, "tokens.cond"), os.O_RDWR)
        fcntl.flock(cond, fcntl.LOCK_EX)       # so none is between its look at the file and its wait
        pathlib.Path(self.logs, "stop-takers").touch()
        os.write(cond, b"all\n")
        os.close(cond)
        return []

    def await_ends(self, clients):
        problems = []
        for client in clients:
            # All have had the first one's time.
            if problem := client.failure(1 if problems else self.options.limit):
                problems.append(problem)
            self.clients.remove(client)
        if problems:
            raise Failure("\n".join(problems))

    def judge(self):
        logs, kills = self.checked, self.kills
        return [*check.check_queue(logs, kills, "producer", "consumer"),
                *check.check_queue(logs, kills, "recorder", "record_reader"),
                *check.check_queue(logs, kills, "echoer", "shell_reader"),
                *check.check_leases(logs, kills),
                *check.check_section(logs, "locker", kills),
                *check.check_section(logs, "rlocker", kills),
                *check.inside(logs, "semaphore", 3),
                *check.check_tokens(logs, kills, int(self.ask("tokens.value"))),
                *check.check_barrier(logs), *check.check_sum(logs, kills, int(self.ask("sum.value"))),
                *self.judge_objects()]

    def judge_objects(self):
        """Everything was returned, and all objects are empty."""
        for name, size in (*((queue, 0) for queue in QUEUES), ("one.lock", 1), ("one.rlock", 1),
                           ("three.sem", 3), ("tokens.cond", 0), ("four.barrier", 0)):
            found = os.stat(os.path.join(self.folder, name)).st_size
            if found != size:
                yield f"{name} has size {found} instead of {size}"
        for name, text in (("lease.queue.ctl/leased", ""), ("lease.queue.ctl/unfinished", "0"),
                           ("lease.queue.ctl/dead", ""), ("four.barrier.ctl/broken", "0")):
            if self.ask(name) != text:
                yield f"{name} says {self.ask(name)!r} instead of {text!r}"
        found = set(os.listdir(self.folder))
        # One that was killed between its create and its unlink leaves its one name.
        left = {name for name in found if name.startswith("name")}
        if len(left) > self.kills["namer"]:
            yield f"left behind: {left}"

    def kill_all(self):
        for client in self.clients:
            client.kill()
        self.clients.clear()
        for name in os.listdir(self.folder) if os.path.isdir(self.folder) else ():
            if name.startswith("talk"):
                os.rmdir(os.path.join(self.folder, name))
        shutil.rmtree(self.logs, ignore_errors=True)
