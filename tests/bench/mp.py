# SPDX-License-Identifier: MIT
"""Python's multiprocessing as a peer; arguments and results as those of the C programs.

mp.py queue PRODUCERS CONSUMERS SIZE COUNT | pingpong CPU COUNT | lock PROCESSES MILLISECONDS
"""
import json
import multiprocessing as mp
import os
import signal
import sys
import time

def bound(size):                         # as channel.h
    return 16 if size > 4096 else 1024


class Team:
    """Processes that start together; run() gives the nanoseconds to the end of the last."""

    def __init__(self, cpu=-1):
        self.cpu, self.members = cpu, []

    def _member(self, gate, times, body, arguments):
        if self.cpu >= 0:
            os.sched_setaffinity(0, {self.cpu})
        gate.wait()
        start = time.monotonic_ns()
        result = body(*arguments)
        times.send((start, time.monotonic_ns(), result))

    def add(self, body, *arguments):
        self.members.append((body, arguments))

    def run(self):
        gate = mp.Barrier(len(self.members))
        started = []
        for body, arguments in self.members:
            mine, theirs = mp.Pipe(False)
            process = mp.Process(target=self._member, args=(gate, theirs, body, arguments),
                                 daemon=True)
            process.start()
            theirs.close()
            started.append((process, mine))
        times = [mine.recv() for _, mine in started]     # EOFError if one died
        for process, _ in started:
            process.join()
        return (max(t[1] for t in times) - min(t[0] for t in times), [t[2] for t in times])


def queue(producers, consumers, size, count):
    q = mp.Queue(bound(size))
    puts = max(1, count // (producers * consumers)) * consumers
    gets = puts * producers // consumers

    def produce():
        message = b"x" * size
        for _ in range(puts):
            q.put(message)

    def consume():
        for _ in range(gets):
            if len(q.get()) != size:
                raise ValueError("a message of another length")

    team = Team()
    for _ in range(producers):
        team.add(produce)
    for _ in range(consumers):
        team.add(consume)
    return {"ns": team.run()[0] / (puts * producers)}


def pingpong(cpu, count):
    a, b = mp.Pipe()
    ball = b"x" * 64

    def serve():
        for _ in range(count):
            a.send_bytes(ball)
            a.recv_bytes()

    def back():
        for _ in range(count):
            b.send_bytes(b.recv_bytes())

    team = Team(cpu)
    team.add(serve)
    team.add(back)
    return {"ns": team.run()[0] / count}


def lock(processes, milliseconds):
    mutex = mp.Lock()
    stop = mp.RawValue("b", 0)

    def work():
        n = 0
        while not stop.value:
            mutex.acquire()
            mutex.release()
            n += 1
        return n

    def end():
        time.sleep(milliseconds / 1000)
        stop.value = 1
        return 0

    team = Team()
    for _ in range(processes):
        team.add(work)
    team.add(end)
    ns, done = team.run()
    return {"ns": ns / sum(done), "most": max(done) * processes / sum(done)}


def main():
    signal.alarm(int(os.environ.get("BENCH_LIMIT", "60")))
    what = {"queue": queue, "pingpong": pingpong, "lock": lock}[sys.argv[1]]
    print(json.dumps(what(*map(int, sys.argv[2:]))))


main()
