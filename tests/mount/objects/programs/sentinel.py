"""Producer and two consumers; a sentinel ends it. Usage: sentinel.py FOLDER"""
import os
import sys
from multiprocessing import Process

from mpfs import Queue

os.chdir(sys.argv[1])


def consumer(number):
    buns = Queue("buns.queue")
    for bun in iter(buns.get, None):
        print(f"ate bun {bun}", flush=True)
    buns.put(None)                          # for the other one
    print(f"consumer {number} is full", flush=True)


buns = Queue("buns.queue", maxsize=3)
consumers = [Process(target=consumer, args=(i,)) for i in (1, 2)]
for process in consumers:
    process.start()
for i in range(1, 11):
    buns.put(i)
buns.put(None)
for process in consumers:
    process.join()
