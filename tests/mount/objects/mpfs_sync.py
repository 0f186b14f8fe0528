"""mpfs: lock, rlock, semaphores, condition, event, barrier."""
import os
import select
import time
from errno import ECANCELED, EPERM, ERANGE
from threading import BrokenBarrierError

from mpfs_base import _Object

# --- locks and semaphores -------------------------------------------------------------

class _Permit(_Object):
    def acquire(self, block=True, timeout=None):
        return self._read(block, timeout) is not None

    def release(self):
        try:
            self._write("1")
        except OSError as error:
            if error.errno == ERANGE:
                raise ValueError("semaphore or lock released too many times") from error
            if error.errno == EPERM:
                raise AssertionError("attempt to release recursive lock not owned by "
                                     "thread") from error
            raise

    def get_value(self):
        return self._size()

    def _is_mine(self):
        """POLLOUT: of an rlock that this handle holds it, of a lock that it is held."""
        poll = select.poll()
        poll.register(self._fd(), select.POLLOUT)
        return any(events & select.POLLOUT for _, events in poll.poll(0))

    def __enter__(self):
        return self.acquire()

    def __exit__(self, *exc):
        self.release()


class Lock(_Permit):
    suffix = ".lock"


class RLock(_Permit):
    suffix = ".rlock"


class Semaphore(_Permit):
    suffix = ".sem"

    def __init__(self, path, value=1):
        if value < 0:
            raise ValueError("semaphore initial value must be >= 0")
        super().__init__(path)
        if self.created:
            self._first(value)

    def _first(self, value):
        if value:
            self._write(str(value))


class BoundedSemaphore(Semaphore):
    def _first(self, value):
        self.set_ctl("bound", value)
        super()._first(value)


def _its_lock(obj, lock):
    """The lock of a condition, value or array: `lock`, or the one that ctl/lock names
    already, or a new RLock beside it as multiprocessing makes one."""
    if lock in (None, True):
        name = obj.ctl("lock")
        if name.endswith((".lock", ".rlock")):
            path = os.path.join(os.path.dirname(obj.path), os.path.basename(name))
            return (RLock if name.endswith(".rlock") else Lock)(path)
        lock = RLock(os.path.splitext(obj.path)[0] + ".rlock")
    if os.path.basename(obj.ctl("lock")) != os.path.basename(lock.path):
        obj.set_ctl("lock", os.path.basename(lock.path))
    return lock


# --- condition, event, barrier --------------------------------------------------------

class Condition(_Object):
    suffix = ".cond"

    def __init__(self, path, lock=None):
        super().__init__(path)
        self._lock = _its_lock(self, lock)
        self.acquire = self._lock.acquire
        self.release = self._lock.release

    def __enter__(self):
        return self._lock.__enter__()

    def __exit__(self, *exc):
        self._lock.__exit__(*exc)

    def wait(self, timeout=None):
        assert self._lock._is_mine(), "must acquire() condition before using wait()"
        return self._read(True, timeout) is not None

    def wait_for(self, predicate, timeout=None):
        end = None if timeout is None else time.monotonic() + timeout
        result = predicate()
        while not result:
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                break
            self.wait(left)
            result = predicate()
        return result

    def notify(self, n=1):
        assert self._lock._is_mine(), "lock is not owned"
        self._write(str(n))

    def notify_all(self):
        assert self._lock._is_mine(), "lock is not owned"
        self._write("all")


class Event(_Object):
    suffix = ".event"

    def is_set(self):
        return self._size() == 1

    def set(self):
        self._write("set")

    def clear(self):
        self._write("clear")

    def wait(self, timeout=None):
        return self._read(True, timeout) is not None


class Barrier(_Object):
    suffix = ".barrier"

    def __init__(self, path, parties=None, action=None, timeout=None):
        super().__init__(path)
        self._action, self._timeout = action, timeout
        if self.created and parties is not None:
            self._write(str(parties))

    def wait(self, timeout=None):
        timeout = self._timeout if timeout is None else timeout
        if timeout is not None:
            timeout = max(timeout, 1e-6)  # a read that may not wait at all breaks nothing
        try:
            answer = self._read(True, timeout)
        except OSError as error:
            if error.errno == ECANCELED:
                raise BrokenBarrierError from error
            raise
        if answer is None:
            raise BrokenBarrierError
        index = int(answer)
        if index == 0 and self._action:
            try:
                self._action()
            except BaseException:
                self.abort()
                raise
        return index

    def reset(self):
        self._write("reset")

    def abort(self):
        self._write("abort")

    @property
    def parties(self):
        return int(self.ctl("parties"))

    @property
    def n_waiting(self):
        return self._size()

    @property
    def broken(self):
        return self.ctl("broken") == "1"
