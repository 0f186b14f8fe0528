"""The producer waits until everything is eaten. Usage: task_done.py FOLDER"""
import os
import sys
from multiprocessing import Process

from mpfs import JoinableQueue

os.chdir(sys.argv[1])


def consumer():
    buns = JoinableQueue("buns.queue")
    while True:
        print(f"ate bun {buns.get()}", flush=True)
        buns.task_done()


buns = JoinableQueue("buns.queue")
Process(target=consumer, daemon=True).start()
for i in range(1, 11):
    buns.put(i)
buns.join()
print("all eaten", flush=True)
