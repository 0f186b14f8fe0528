"""Four processes meet. Usage: barrier.py FOLDER"""
import os
import sys
from multiprocessing import Process

from mpfs import Barrier

os.chdir(sys.argv[1])


def walker(number):
    print(f"walker {number} arrives", flush=True)
    index = Barrier("meet.barrier", 4).wait()
    print(f"walker {number} goes on, {index}", flush=True)


Barrier("meet.barrier", 4)
walkers = [Process(target=walker, args=(i,)) for i in range(1, 5)]
for process in walkers:
    process.start()
for process in walkers:
    process.join()
