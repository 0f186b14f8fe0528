# SPDX-License-Identifier: MIT
"""Where the benchmark runs: mounts of ipcfs and of the empty FUSE file system, a Redis server.

Everything is below the two folders that tests/watch makes, which also ends what is left if this
program is killed.
"""
import contextlib
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from kit import ClientTimeout, Mount, Proc  # noqa: E402

__all__ = ["ClientTimeout", "Failed", "Places", "Proc", "Queue64k"]


class Failed(AssertionError):
    """A measurement that failed; the text says why."""


class Null(Mount):
    """The empty FUSE file system."""

    def argv(self):
        return [self.program, self.dir]

    def worker(self):
        return self.pid


class Places:
    """`env` of a mount is what programs need to know of it."""

    def __init__(self, bin_dir, ipcfs):
        self.bin, self.ipcfs = bin_dir, ipcfs
        self.stack = contextlib.ExitStack()
        self.tmp = os.path.join(os.environ["IPCFS_TEST_SHM"], "tmp")
        os.mkdir(self.tmp)

    def close(self):
        self.stack.close()

    def _mounted(self, mount, name, stack):
        (stack or self.stack).callback(mount.end)
        mount.start()
        mount.env = {name: mount.dir}
        os.stat(mount.dir)      # it answers
        return mount

    def mount_ipcfs(self, stack=None, cpu=None, **options):
        return self._mounted(Mount(program=self.ipcfs, cpu=cpu, **options), "BENCH_IPC", stack)

    def mount_null(self, stack=None, cpu=None):
        program = os.path.join(self.bin, "nullfs")
        return self._mounted(Null(program=program, cpu=cpu), "BENCH_NULL", stack)

    def redis(self):
        """A server; its socket."""
        sock = os.path.join(self.tmp, "redis.sock")
        server = Proc(["redis-server", "--port", "0", "--unixsocket", sock, "--save", "",
                       "--appendonly", "no", "--dir", self.tmp, "--pidfile",
                       os.path.join(self.tmp, "redis.pid")])
        self.stack.callback(server.kill)
        said = []
        while "eady to accept connections" not in (said or [""])[-1]:
            said.append(server.hear())      # what it says later stays in the pipe: little
            if not said[-1] and not server.running:
                raise Failed(f"redis-server did not start: {said[-5:]}")
        return sock


class Queue64k:
    """POSIX queues of large messages: the limit is raised where that is allowed, and put back.

    The old limit is in WORK/msgsize_max meanwhile: tests/bench/run puts it back if we are killed.
    """
    limit = "/proc/sys/fs/mqueue/msgsize_max"

    def __init__(self, work):
        self.note = os.path.join(work, "msgsize_max")

    def __enter__(self):
        try:
            with open(self.limit) as f:
                old = f.read()
            if int(old) >= 65536:
                return
            with open(self.note, "w") as f:
                f.write(old)
            with open(self.limit, "w") as f:
                f.write("65536")
        except OSError:
            self.remove_note()

    def __exit__(self, *error):
        if os.path.exists(self.note):
            with open(self.note) as note, open(self.limit, "w") as f:
                f.write(note.read())
            self.remove_note()

    def remove_note(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.note)
