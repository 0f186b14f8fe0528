"""Producer and two consumers; the producer closes the queue. Usage: closed.py FOLDER"""
import os
import sys
from multiprocessing import Process

from mpfs import Queue

os.chdir(sys.argv[1])


def consumer(number):
    buns = Queue("buns.queue")
    try:
        while True:
            print(f"ate bun {buns.get()}", flush=True)
    except EOFError:
        print(f"consumer {number} is full", flush=True)


buns = Queue("buns.queue", maxsize=3)
consumers = [Process(target=consumer, args=(i,)) for i in (1, 2)]
for process in consumers:
    process.start()
for i in range(1, 11):
    buns.put(i)
buns.shutdown()
for process in consumers:
    process.join()
