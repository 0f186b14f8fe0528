#!/usr/bin/python3
# worker.py MOUNT REPORT: count lines, and take a checksum with a permit of slots.sem
import contextlib, fcntl, hashlib, os, sys

ipc, report = sys.argv[1:]


@contextlib.contextmanager
def borrowed(file):  # returned even if this process is killed
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


open(f"{ipc}/go.event").read()  # waits until it is set
slots, lock = open(f"{ipc}/slots.sem"), open(f"{ipc}/report.lock")
done = open(f"{ipc}/jobs.queue.ctl/done", "w", buffering=1)
report = open(report, "ab", buffering=0)

for line in open(f"{ipc}/jobs.queue", "rb"):  # reading takes; it ends once the queue is closed
    name = line.rstrip(b"\n")
    with open(name, "rb") as file:
        data = file.read()
    with borrowed(slots):
        checksum = hashlib.sha256(data).hexdigest()
    facts = f"Python\t{data.count(10)}\t{len(data)}\t{checksum}\t".encode()
    with borrowed(lock):
        report.write(facts + line)
    done.write("1\n")
