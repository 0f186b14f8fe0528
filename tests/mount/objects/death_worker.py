"""One participant of test_death.py: uses an object for ever, and is killed at some moment.

death_worker.py TYPE PATH NUMBER SEED. A dot is written after each turn; "BAD" and a reason when
the object showed something that must not be. NUMBER (0…3) is the role.
"""
import fcntl
import os
import random
import re
import struct
import sys
from errno import ECANCELED

kind, path, number, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
rng = random.Random(seed)
LINE = re.compile(rb"w\d+\.\d+:\d+:(x*)end\n")


def bad(why):
    os.write(1, b"BAD " + repr(why).encode() + b"\n")
    os._exit(1)


def message(turn):
    return f"w{seed}:{turn}:{'x' * rng.randrange(2000)}end\n".encode()


def queue(turn):
    if number % 2:
        if not LINE.fullmatch(text := os.read(fd, 1 << 16)):
            bad(text)
        return
    text = message(turn)
    if rng.random() < 0.3:           # half-way through a message
        half = rng.randrange(1, len(text))
        os.write(fd, text[:half])
        text = text[half:]
    os.write(fd, text)


def lease(turn):
    if number == 0:
        os.write(fd, message(turn))
        return
    if not leases:
        leases.append(os.open(path + ".ctl/lease", os.O_RDONLY))
        leases.append(os.open(path + ".ctl/ack", os.O_WRONLY))
        leases.append(os.open(path + ".ctl/nack", os.O_WRONLY))
    ident, _, text = os.read(leases[0], 1 << 16).partition(b"\t")
    if not LINE.fullmatch(text):
        bad(text)
    os.write(leases[1 if rng.random() < 0.8 else 2], ident + b"\n")


def pipe(turn):
    """Records (O_DIRECT) one way, or from end to end of a two-way pipe."""
    if number % 2:
        if not LINE.fullmatch(text := os.read(fd, 1 << 20)):
            bad(text)
    else:
        os.write(fd, message(turn))


def event(_):
    if number == 0:
        os.write(fd, b"set\n" if rng.random() < 0.7 else b"clear\n")
    elif os.read(fd, 64) != b"1\n":
        bad("event")


def sem(_):
    if rng.random() < 0.5:
        fcntl.flock(fd, fcntl.LOCK_EX)
        fcntl.flock(fd, fcntl.LOCK_UN)
    else:
        os.read(fd, 64)
        os.write(fd, b"1\n")


def rlock(_):
    depth = rng.randrange(1, 4)
    if [os.read(fd, 64) for _ in range(depth)] != [b"%d\n" % (i + 1) for i in range(depth)]:
        bad("depth")
    for _ in range(depth):
        os.write(fd, b"1\n")


def limit(ns):
    fcntl.ioctl(fd, 0x40086901, struct.pack("q", ns))   # IPCFS_IOC_TIMEOUT


def cond(_):
    fcntl.flock(fd, fcntl.LOCK_EX)
    if number == 0 or rng.random() < 0.3:
        os.write(fd, rng.choice((b"1\n", b"2\n", b"all\n")))
    else:
        limit(50_000_000)
        try:
            os.read(fd, 64)
        except TimeoutError:
            pass                     # with the lock retaken
        limit(-1)
    fcntl.flock(fd, fcntl.LOCK_UN)


def barrier(_):
    try:
        if not 0 <= int(os.read(fd, 64)) < 4:
            bad("index")
    except OSError as error:
        if error.errno != ECANCELED:
            raise
        return False                 # broken by somebody's death: no turn
    return True


def value(_):
    fcntl.flock(fd, fcntl.LOCK_EX)
    os.write(fd, b"+=1\n")
    if not os.read(fd, 64).rstrip().isdigit():
        bad("value")
    fcntl.flock(fd, fcntl.LOCK_UN)


def array(_):
    fcntl.flock(fd, fcntl.LOCK_EX)
    one, = struct.unpack("q", os.pread(fd, 8, 0))
    os.pwrite(fd, struct.pack("qq", one + 1, one + 1), 0)
    fcntl.flock(fd, fcntl.LOCK_UN)


def opened():
    if kind == "pipe":
        return os.open(path, (os.O_RDONLY if number % 2 else os.O_WRONLY) | os.O_DIRECT)
    if kind == "twoway":
        return os.open(path + ("/b" if number % 2 else "/a"), os.O_RDWR | os.O_DIRECT)
    return os.open(path, os.O_RDWR)


leases = []
fd = opened()
turn_of = {"twoway": pipe, "lock": sem}.get(kind) or globals()[kind]
turn = 0
while True:
    done = turn_of(turn) is not False
    turn += 1
    if done:
        os.write(1, b".")
