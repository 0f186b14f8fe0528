"""multiprocessing's objects, each of them one ipcfs file.

    from mpfs import JoinableQueue, Lock
    jobs = JoinableQueue("/ipc/jobs.queue", maxsize=10)

Every class takes the path of the object first and then the arguments that its
namesake in multiprocessing takes. Whoever opens the same path has the same object:
nothing is inherited, pickled or handed over by a parent.

These files (mpfs_*.py) translate calls and errors and do nothing else. All waiting, counting,
limits, ownership and ends of file come from the file system: there is no lock, no
counter and no retry in here. Each thread of each process opens the name itself, so
"the caller that holds it" (an rlock, a condition) is a handle to ipcfs.

Differences from multiprocessing that are the contract's, not this file's:
`send_bytes(b"")` is impossible (the kernel never sends an empty write), a message has
at most 1 MiB - 4096 bytes, and a lock held by a process that dies is free again.
"""
from multiprocessing import BufferTooShort
from queue import Empty, Full
from threading import BrokenBarrierError

from mpfs_data import Array, Connection, JoinableQueue, Pipe, Queue, SimpleQueue, Value
from mpfs_sync import (Barrier, BoundedSemaphore, Condition, Event, Lock, RLock,
                       Semaphore)

__all__ = ["Array", "Barrier", "BoundedSemaphore", "BrokenBarrierError", "BufferTooShort",
           "Condition", "Connection", "Empty", "Event", "Full", "JoinableQueue", "Lock",
           "Pipe", "Queue", "RLock", "Semaphore", "SimpleQueue", "Value"]
