"""Three workers wait until the stage is set; notify_all. Usage: notify_all.py FOLDER"""
import os
import sys
from multiprocessing import Process

from mpfs import Condition, Semaphore, Value

os.chdir(sys.argv[1])


def worker(number):
    stage, light = Condition("stage.cond"), Value("stage.value", lock=False)
    with stage:
        Semaphore("here.sem").release()
        stage.wait_for(lambda: light.value == "lit")
        print(f"worker {number} plays", flush=True)


stage, light, here = Condition("stage.cond"), Value("stage.value"), Semaphore("here.sem", 0)
light.value = "dark"
workers = [Process(target=worker, args=(i,)) for i in (1, 2, 3)]
for process in workers:
    process.start()
for _ in workers:
    here.acquire()
with stage:                                 # all three wait: else one of them had the lock
    print("waiting:", os.stat("stage.cond").st_size, flush=True)
    light.value = "lit"
    stage.notify_all()
for process in workers:
    process.join()
