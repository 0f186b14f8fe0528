"""A server that adds, over a two-way pipe. Usage: adder.py FOLDER"""
import os
import sys
from multiprocessing import Process

from mpfs import Connection

os.chdir(sys.argv[1])
os.mkdir("adder.pipe")


def server():
    with Connection("adder.pipe/a") as connection:
        try:
            while True:
                x, y = connection.recv()
                connection.send(x + y)
        except EOFError:
            print("the client has gone", flush=True)


def client():
    with Connection("adder.pipe/b") as connection:
        for x in (1, 20, -5):
            connection.send((x, 7))
            print(f"{x} + 7 = {connection.recv()}", flush=True)


processes = [Process(target=server), Process(target=client)]
for process in processes:
    process.start()
for process in processes:
    process.join()
