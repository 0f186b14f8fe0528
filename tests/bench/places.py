# SPDX-License-Identifier: MIT
"""Where the benchmark runs: mounts of ipcfs and of the empty FUSE file system, a Redis server.

Everything is below two fresh folders, WORK (any disk) and SHM (tmpfs), and each process that is
started is noted in WORK/pids, so that tests/bench/run can end them even if this program is killed.
"""
import contextlib
import os
import select
import signal
import subprocess
import time


class Failed(Exception):
    """A measurement that did not come about; the text says why."""


class Place:
    """A server that runs: its process, and what programs need to know of it in `env`."""

    def __init__(self, process, env, path, state=None):
        self.process, self.env, self.path, self.state = process, env, path, state

    def worker(self):
        """The process that serves requests: of ipcfs the child of the supervisor."""
        pid = self.process.pid
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            children = f.read().split()
        return int(children[0]) if children else pid


def is_mounted(path):
    with open("/proc/self/mountinfo") as f:
        return any(line.split()[4] == path for line in f)


def wait_mounted(path, process, log):
    """The kernel tells of every change of the mounts."""
    end = time.monotonic() + 10
    with open("/proc/self/mountinfo") as f:
        poll = select.poll()
        poll.register(f, select.POLLERR | select.POLLPRI)
        while not is_mounted(path):
            if process.poll() is not None or time.monotonic() > end:
                with open(log) as text:
                    raise Failed(f"{path} was not mounted: {text.read().strip()[-200:]}")
            poll.poll(1000)
    os.stat(path)       # it answers


class Places:
    def __init__(self, work, shm, bin_dir, ipcfs):
        self.work, self.shm, self.bin, self.ipcfs = work, shm, bin_dir, ipcfs
        self.stack = contextlib.ExitStack()
        self.tmp = os.path.join(shm, "tmp")
        os.mkdir(self.tmp)
        self.serial = 0

    def close(self):
        self.stack.close()

    def start(self, words, log, cpu=None):
        pin = (lambda: os.sched_setaffinity(0, {cpu})) if cpu is not None else None
        with open(log, "wb") if log else contextlib.nullcontext(subprocess.PIPE) as out:
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                       start_new_session=True, preexec_fn=pin)
        self.note(process)
        return process

    def note(self, process):
        with open(os.path.join(self.work, "pids"), "a") as f:
            f.write(f"{process.pid}\n")

    def folder(self, name):
        self.serial += 1
        path = os.path.join(self.work, f"{name}{self.serial}")
        os.mkdir(path)
        return path

    def mount_ipcfs(self, stack=None, cpu=None, **options):
        path = self.folder("ipc")
        state = os.path.join(self.shm, os.path.basename(path))
        os.mkdir(state, 0o700)
        words = ",".join([f"state={state}"] + [f"{k}={v}" for k, v in options.items()])
        log = path + ".log"
        process = self.start([self.ipcfs, "-f", "-o", words, path], log, cpu)
        (stack or self.stack).callback(self.unmount, process, path)
        wait_mounted(path, process, log)
        return Place(process, {"BENCH_IPC": path}, path, state)

    def mount_null(self, stack=None, cpu=None):
        path = self.folder("null")
        process = self.start([os.path.join(self.bin, "nullfs"), path], path + ".log", cpu)
        (stack or self.stack).callback(self.unmount, process, path)
        wait_mounted(path, process, path + ".log")
        return Place(process, {"BENCH_NULL": path}, path)

    def unmount(self, process, path):
        for words in (["fusermount3", "-u"], ["fusermount3", "-uz"]):
            if not is_mounted(path):
                break
            subprocess.run(["timeout", "-k", "2", "10", *words, path], check=False,
                           stderr=subprocess.DEVNULL)
        self.end(process)

    def end(self, process):
        """Each by its id: first in peace, then not."""
        for sign in (None, signal.SIGTERM, signal.SIGKILL):
            if sign and process.poll() is None:
                os.kill(process.pid, sign)
            try:
                process.wait(10)
                return
            except subprocess.TimeoutExpired:
                pass

    def wait_said(self, process, words):
        """It writes little: what it says later stays in the pipe."""
        text = b""
        while words not in text:
            ready = select.select([process.stdout], [], [], 10)[0]
            part = os.read(process.stdout.fileno(), 4096) if ready else b""
            if not part:
                raise Failed(f"{process.args[0]} did not start: {text.decode()[-200:]}")
            text += part

    def redis(self):
        sock = os.path.join(self.work, "redis.sock")
        process = self.start(["redis-server", "--port", "0", "--unixsocket", sock, "--save", "",
                              "--appendonly", "no", "--dir", self.tmp, "--pidfile",
                              os.path.join(self.work, "redis.pid")], None)

        def end():
            process.terminate()
            self.end(process)

        self.stack.callback(end)
        self.wait_said(process, b"eady to accept connections")
        return Place(process, {"BENCH_REDIS": sock}, sock)


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
