"""What the tests on real mounts stand on: daemons, clients, objects and time limits."""

from .clients import Child, ClientTimeout, Proc, fork, run, sh, spawn
from .mount import BUILD, IPCCTL, IPCFS, INSTRUMENTED, Mount, Running
from .objects import (DEADLINE, NEXT, TIMEOUT, Folder, Obj, Row, ioc_next, ioc_set,
                      read_all, write_once,
                      parse_rows, raises, unchanged)
from .proc import (children, close_fds_below, descendants, kill_strays, stacks,
                   start_time, state_of, thread_count)
from .timing import SLOW, T, eventually

__all__ = [name for name in dir() if not name.startswith("_")]
