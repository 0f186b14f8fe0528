"""Cars wait for green. Usage: traffic_light.py FOLDER"""
import os
import sys
from multiprocessing import Process

from mpfs import Event, Semaphore

os.chdir(sys.argv[1])


def say(text):
    os.write(1, f"{text}\n".encode())


def car(number):
    say(f"car {number} arrives")
    Semaphore("arrived.sem").release()
    Event("green.event").wait()
    say(f"car {number} passes")


green, arrived = Event("green.event"), Semaphore("arrived.sem", 0)
say("red")
cars = [Process(target=car, args=(i,)) for i in range(1, 6)]
for process in cars:
    process.start()
for _ in cars:
    arrived.acquire()
say("green")
green.set()
for process in cars:
    process.join()
green.clear()
say("red")
if not green.wait(0.2):
    say("car 6 still waits")
