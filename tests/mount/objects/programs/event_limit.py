"""Waiting for an event with a time limit. Usage: event_limit.py FOLDER"""
import os
import sys
from multiprocessing import Process

from mpfs import Event, Semaphore

os.chdir(sys.argv[1])


def waiter():
    ready = Event("ready.event")
    while not ready.wait(0.2):
        print("not yet", flush=True)
        Semaphore("tried.sem", 0).release()
        Semaphore("set.sem", 0).acquire()   # the service starts between two tries
    print("ready", flush=True)


ready, tried, set_ = Event("ready.event"), Semaphore("tried.sem", 0), Semaphore("set.sem", 0)
process = Process(target=waiter)
process.start()
tried.acquire()
ready.set()
set_.release()
process.join()
