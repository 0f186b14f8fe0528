"""Three producers and two consumers. Usage: joinable.py FOLDER"""
import os
import sys
from multiprocessing import Process

from mpfs import JoinableQueue

os.chdir(sys.argv[1])


def producer(name):
    food = JoinableQueue("food.queue")
    for i in range(1, 6):
        food.put(f"{name} {i}")
    food.join()                             # mine are eaten, and so are all others
    print(f"cook of {name} goes home", flush=True)


def consumer(name):
    food = JoinableQueue("food.queue")
    while True:
        print(f"{name} ate {food.get()}", flush=True)
        food.task_done()


for name in ("egg", "alex"):
    Process(target=consumer, args=(name,), daemon=True).start()
cooks = [Process(target=producer, args=(name,)) for name in ("bun", "bone", "swill")]
for process in cooks:
    process.start()
for process in cooks:
    process.join()
