"""Twelve workers print three lines each, under one lock. Usage: print_lock.py FOLDER"""
import os
import sys
from multiprocessing import Process

from mpfs import Lock

os.chdir(sys.argv[1])


def worker(number):
    with Lock("printer.lock"):
        for line in (1, 2, 3):
            print(f"worker {number} line {line}", flush=True)


workers = [Process(target=worker, args=(i,)) for i in range(1, 13)]
for process in workers:
    process.start()
for process in workers:
    process.join()
