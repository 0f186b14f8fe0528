# SPDX-License-Identifier: MIT
"""Whole programs that are timed: many lines through a shell's tools, and ls."""
import contextlib
import os
import subprocess
import time

from places import Failed


def spent(*commands, env=None, limit=60):
    """Nanoseconds from the start of the commands to the end of the last. (WORDS, IN, OUT) each."""
    with contextlib.ExitStack() as stack:
        started = []
        start = time.monotonic_ns()
        for words, stdin, stdout in commands:
            streams = [stack.enter_context(open(f, mode)) if f else subprocess.DEVNULL
                       for f, mode in ((stdin, "rb"), (stdout, "wb"))]
            started.append(subprocess.Popen(["timeout", "-k", "2", str(limit), *words],
                                            stdin=streams[0], stdout=streams[1],
                                            stderr=subprocess.PIPE, env=env))
        texts = [process.communicate()[1] for process in started]
        end = time.monotonic_ns()
    for process, text, (words, _, _) in zip(started, texts, commands):
        if process.returncode:
            raise Failed(f"{words[0]} ended with {process.returncode}: "
                         f"{text.decode(errors='replace').strip()[-200:]}")
    return end - start


def before(bench):
    path = os.path.join(bench.places.tmp, "commands")
    with open(path, "w") as f:
        for i in range(1, bench.lines + 1):
            f.write(f"RPUSH bulk {i}\r\n")
    bench.bulk_commands = path


def seq(bench, out):
    return (["seq", str(bench.lines)], None, out)


def lines(bench, path):
    return ([bench.program("lines"), path, str(bench.lines)], None, None)


def per_line(bench, ns):
    return {"ns": ns / bench.lines}


@contextlib.contextmanager
def line_queue(bench):
    path = os.path.join(bench.ipc.dir, "bulk.queue")
    with open(path, "x"):
        pass
    try:
        yield path
    finally:
        os.unlink(path)


def put_get(bench, name):
    with line_queue(bench) as q:
        put = spent(seq(bench, q))
        get = spent(lines(bench, q + ".ctl/stream"))
    return {"put": per_line(bench, put), "stream": per_line(bench, get)}


def both(bench, name):
    with line_queue(bench) as q:
        return {name: per_line(bench, spent(lines(bench, q + ".ctl/stream"), seq(bench, q)))}


def fifo(bench, name):
    path = os.path.join(bench.places.tmp, "bulk.fifo")
    os.mkfifo(path)
    try:
        # Each opening waits for the other side: so the shell opens them.
        script = 'seq "$1" > "$2" & "$3" "$2" "$1" && wait $!'
        ns = spent((["sh", "-c", script, "sh", str(bench.lines), path, bench.program("lines")],
                    None, None))
    finally:
        os.unlink(path)
    return {name: per_line(bench, ns)}


def redis(bench, name):
    cli = ["redis-cli", "-s", bench.env["BENCH_REDIS"]]
    ns = spent(([*cli, "--pipe"], bench.bulk_commands, None))
    n = subprocess.run([*cli, "LLEN", "bulk"], capture_output=True, text=True, timeout=20,
                       check=True).stdout.strip()
    subprocess.run([*cli, "DEL", "bulk"], capture_output=True, timeout=20, check=True)
    if n != str(bench.lines):
        raise Failed(f"{n} of {bench.lines} lines came")
    return {name: per_line(bench, ns)}


BULK = {
    "put": "ipcfs files: seq > queue", "stream": "ipcfs files: read ctl/stream",
    "both": "ipcfs files: both at once", "fifo": "FIFO: both at once",
    "redis": "redis-cli --pipe (RPUSH)",
}


# ---- ls ---------------------------------------------------------------------------------------

OBJECTS = 10000


def ls_before(bench):
    bench.ls_ipc = bench.places.mount_ipcfs().dir
    bench.ls_tmp = os.path.join(bench.places.tmp, "ls")
    os.mkdir(bench.ls_tmp)
    for folder in (bench.ls_ipc, bench.ls_tmp):
        bench.run("ops", "fill", folder, str(OBJECTS), silent=True)


def ls(which):
    def measure(bench, name):
        ns = spent((["ls", "-l", getattr(bench, which)], None, None))
        return {name: {"ns": ns / OBJECTS}}
    return measure
