"""A reader gets EOFError when the other end is closed, and hangs when it has that end open too.

Usage: end_of_file.py FOLDER closed|open
"""
import os
import sys
from multiprocessing import Process

from mpfs import Pipe

folder, how = sys.argv[1:]
os.chdir(folder)


def reader(mine, other):
    if how == "closed":
        other.close()                       # the end that it inherited
    print("got", mine.recv(), flush=True)
    try:
        mine.recv()
    except EOFError:
        print("end of file", flush=True)


parent, child = Pipe("words.pipe")
process = Process(target=reader, args=(child, parent))
process.start()
child.close()
parent.send("hello")
parent.close()
process.join(20 if how == "closed" else 1.5)    # or it would hang for ever
if process.is_alive():
    print("still waiting: I have an end open myself", flush=True)
    process.kill()
    process.join()
