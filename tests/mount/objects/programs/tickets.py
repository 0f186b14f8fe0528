"""Eight buyers, three tickets. Usage: tickets.py FOLDER lock|nolock"""
import contextlib
import os
import sys
from multiprocessing import Process

from mpfs import Barrier, Lock, Queue, Value

folder, how = sys.argv[1:]
os.chdir(folder)


def buyer(name):
    with Lock("desk.lock") if how == "lock" else contextlib.nullcontext():
        board = Value("left.value", lock=False)
        left = board.value
        if how == "nolock":             # all look before anybody pays
            Barrier("looked.barrier").wait()
        if left > 0:
            board.value = left - 1
            Queue("sold.queue").put(name)


Value("left.value", "i", 3, lock=False)
Barrier("looked.barrier", 8)
sold = Queue("sold.queue")
buyers = [Process(target=buyer, args=(f"buyer {i}",)) for i in range(8)]
for process in buyers:
    process.start()
for process in buyers:
    process.join()
print(f"sold {sold.qsize()} of 3")
