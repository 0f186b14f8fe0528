"""Time limits. Every limit goes through T(), so that IPCFS_SLOW=factor stretches them all."""

import os
import time

SLOW = float(os.environ.get("IPCFS_SLOW", "1"))


def T(seconds):
    """A time limit, stretched for sanitizers and valgrind."""
    return seconds * SLOW


def eventually(fn, timeout=10, what=""):
    """Call fn until it gives something true, and return that.

    The only place of the suite that polls. It is for what the filesystem shows but does not
    announce: that somebody stands in `waiters`, that a process reached a state in /proc.
    Everything else waits for an event (a pipe, a pidfd, the mount table).
    """
    end = time.monotonic() + T(timeout)
    while True:
        value = fn()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {T(timeout):g} s: {what or fn}; last: {value!r}")
        time.sleep(0.002)
