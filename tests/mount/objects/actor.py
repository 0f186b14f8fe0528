"""A process that does file operations on demand: one JSON line in, one JSON line out.

Started by helpers.Actor. Each operation is one system call, so what the answer shows is
what the file system said. SIGUSR1 ends the running call with EINTR (no retry).
"""
import errno
import fcntl
import json
import mmap
import os
import select
import signal
import struct
import subprocess
import sys
import threading

busy = False
output = threading.Lock()


def interrupted(signum, frame):
    if busy:
        raise InterruptedError(errno.EINTR, os.strerror(errno.EINTR))


def poll(fd, events, ms):
    waiter = select.poll()
    waiter.register(fd, events)
    return sum(found for _, found in waiter.poll(ms))


def keep(fd):
    """A child that holds the descriptor and does nothing; its pid."""
    return subprocess.Popen(["sleep", "3600"], pass_fds=[fd], stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL).pid


def mmap_add(path, code, index, amount):
    size = struct.calcsize(code)
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        old, = struct.unpack_from(code, memory, index * size)
        struct.pack_into(code, memory, index * size, old + amount)
        return old + amount


OPERATIONS = {
    "open": lambda path, flags, mode=0o600: os.open(path, flags, mode),
    "close": os.close,
    "dup": os.dup,
    "read": os.read,
    "pread": os.pread,
    "write": lambda fd, text: os.write(fd, text.encode("latin1")),
    "pwrite": lambda fd, text, at: os.pwrite(fd, text.encode("latin1"), at),
    "lseek": os.lseek,
    "flock": fcntl.flock,
    "ioctl": lambda fd, request, ns: struct.unpack(
        "q", fcntl.ioctl(fd, request, struct.pack("q", ns)))[0],
    "poll": poll,
    "keep": keep,
    "mmap_add": mmap_add,
    "getpid": os.getpid,
}


def serve(request):
    global busy
    answer = {"id": request["id"]}
    main = threading.current_thread() is threading.main_thread()
    try:
        busy = busy or main
        value = OPERATIONS[request["op"]](*request["args"])
        answer["value"] = value.decode("latin1") if isinstance(value, bytes) else value
    except OSError as error:
        answer["errno"] = error.errno
    finally:
        if main:
            busy = False
    with output:
        os.write(1, json.dumps(answer).encode() + b"\n")


def main():
    signal.signal(signal.SIGUSR1, interrupted)
    for line in sys.stdin:
        request = json.loads(line)
        if request.get("thread"):
            threading.Thread(target=serve, args=(request,), daemon=True).start()
        else:
            serve(request)
    os._exit(0)


main()
