"""A KTV with four rooms and twelve guests. Usage: ktv.py FOLDER"""
import os
import random
import sys
import time
from multiprocessing import Process

from mpfs import Semaphore, Value

os.chdir(sys.argv[1])


def guest(number):
    inside = Value("inside.value", lock=False)
    with Semaphore("rooms.sem"):
        print(f"guest {number} sings, {inside.add(1)} inside", flush=True)
        time.sleep(random.uniform(0.01, 0.03))
        inside.add(-1)


rooms = Semaphore("rooms.sem", 4)
Value("inside.value", "i", 0, lock=False)
guests = [Process(target=guest, args=(i,)) for i in range(12)]
for process in guests:
    process.start()
for process in guests:
    process.join()
print("rooms free:", rooms.get_value())
