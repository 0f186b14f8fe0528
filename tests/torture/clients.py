"""The clients of torture.py: each role works through files until it is told to stop.

clients.py ROLE FOLDER LOGS NAME SEED MODE. FOLDER is in the mount, LOGS is an ordinary folder.
What a client did it appends to LOGS/ROLE.NAME, a line a write, so that its last words are there
even after SIGKILL: first what it is about to do, then what it did. It stops when LOGS/stop
exists, or at the end of file of what it reads. Any error is the end, with exit code 1 and a
traceback: no client may notice that the daemon was killed.
"""
import errno
import fcntl
import os
import random
import struct
import sys
import time

role, folder, logs, name, seed, mode = sys.argv[1:7]
kills_clients = mode == "kill-clients"
rng = random.Random(f"{seed} {role} {name}")
os.chdir(folder)
log_fd = os.open(f"{logs}/{role}.{name}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def log(*words):
    os.write(log_fd, (" ".join(map(str, words)) + "\n").encode())


def stopped(file="stop"):
    return os.path.exists(f"{logs}/{file}")


def write(fd, text):
    data = text.encode()
    done = os.write(fd, data)
    if done != len(data):
        raise OSError(f"short write: {done} of {len(data)} of {text!r}")


def number(path):
    """The number in a value, by a fresh handle."""
    fd = os.open(path, os.O_RDONLY)
    try:
        return int(os.read(fd, 64).strip() or 0)
    finally:
        os.close(fd)


def set_number(path, text):
    fd = os.open(path, os.O_WRONLY)
    write(fd, f"{text}\n")
    os.close(fd)


# --- queues --------------------------------------------------------------------------------

def producer(queue="plain.queue"):
    """Numbered lines, one or several a write, on one handle or on a new one each time."""
    fd, number_ = os.open(queue, os.O_WRONLY), 0
    while not stopped():
        end = number_ + rng.choice((1, 1, 1, 5, 40))
        pad = "x" * rng.choice((0, 10, 300, 3000))
        log("try", number_, end)
        write(fd, "".join(f"{name} {i} {pad}\n" for i in range(number_, end)))
        log("put", number_, end)
        number_ = end
        if rng.random() < 0.1:
            os.close(fd)
            fd = os.open(queue, os.O_WRONLY)


def recorder():
    """Records of up to 900 KiB: most of them wait for room, and each takes many pages."""
    fd, number_, pad = os.open("record.queue", os.O_WRONLY | os.O_DIRECT), 0, "x" * (900 << 10)
    while not stopped():
        size = rng.choice((rng.randrange(4096), rng.randrange(900 << 10), 900 << 10))
        log("try", number_, number_ + 1)
        write(fd, f"{name} {number_} {pad}"[:max(size, 40)])
        log("put", number_, number_ + 1)
        number_ += 1


def record_reader():
    fd = os.open("record.queue", os.O_RDWR | os.O_DIRECT)
    while record := os.read(fd, 1 << 20):
        who, count, pad = record.decode().split(" ")
        if pad.strip("x"):
            raise OSError(f"not one record: {record[:60]!r}")
        log("got", who, count)


def bash(script):
    """Its $1 is where to log, $2 who it is, $3 the file that says to stop. It ends with this."""
    os.execvp("bash", ["bash", "-c", script, "bash", f"{logs}/{role}.{name}", name, f"{logs}/stop"])


def echoer():
    bash("""
        for ((i = 0; ; i++)); do
            [ -e "$3" ] && exit 0
            echo "try $i $((i + 1))" >> "$1"
            echo "$2 $i" > shell.queue || exit 1
            echo "put $i $((i + 1))" >> "$1"
        done""")


def shell_reader():
    bash("""
        while read -r line < shell.queue; do
            echo "got $line" >> "$1"
        done
        [ "$(< shell.queue.ctl/closed)" = 1 ]""")


def lease_producer():
    producer("lease.queue")


def consumer():
    """One message a read; every other one by a stream of several lines a read."""
    if name.startswith("1.") and not kills_clients:    # a kill would lose a whole read
        fd, rest = os.open("plain.queue.ctl/stream", os.O_RDONLY), b""
        while data := os.read(fd, 1 << 17):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                log("got", *line.decode().split(" ")[:2])
        if rest:
            raise OSError(f"the stream ends in mid-line: {rest!r}")
        return
    fd = os.open("plain.queue", os.O_RDONLY if name.startswith("0.") else os.O_RDWR)
    while line := os.read(fd, 1 << 16):
        who, count, pad = line.decode().split(" ")
        if pad.strip("x") != "\n":
            raise OSError(f"not a whole message: {line!r}")
        log("got", who, count)


def leaser():
    lease = os.open("lease.queue.ctl/lease", os.O_RDONLY)
    ack = os.open("lease.queue.ctl/ack", os.O_WRONLY)
    nack = os.open("lease.queue.ctl/nack", os.O_WRONLY)
    while line := os.read(lease, 1 << 16):
        ident, _, text = line.decode().partition("\t")
        message = text.split(" ")[:2]
        log("leased", *message)
        if rng.random() < 0.9:
            write(ack, ident + "\n")
            log("acked", *message)
        else:
            write(nack, ident + "\n")


# --- locks: "in" is logged after the lock was got, "out" before it is given back --------------

def section():
    log("in", time.monotonic_ns())
    counter = os.open(f"{logs}/{role}-counter", os.O_RDWR | os.O_CREAT, 0o600)
    before = int(os.pread(counter, 20, 0) or 0)
    if rng.random() < 0.2:
        time.sleep(rng.uniform(0, 0.002))              # load
    os.pwrite(counter, b"%20d" % (before + 1), 0)
    os.close(counter)
    log("out", time.monotonic_ns())


def locker():
    fd = os.open("one.lock", os.O_RDWR)
    while not stopped():
        if rng.random() < 0.5:
            fcntl.flock(fd, fcntl.LOCK_EX)
            section()
            fcntl.flock(fd, fcntl.LOCK_UN)
        else:
            os.read(fd, 64)
            section()
            write(fd, "1\n")


def rlocker():
    fd = os.open("one.rlock", os.O_RDWR)
    while not stopped():
        depth = rng.randrange(1, 4)
        for level in range(1, depth + 1):
            if (got := os.read(fd, 64)) != b"%d\n" % level:
                raise OSError(f"depth {got!r} instead of {level}")
        section()
        for _ in range(depth):
            write(fd, "1\n")


def semaphore():
    while not stopped():
        fd = os.open("three.sem", os.O_RDWR)
        for _ in range(10):
            by_flock = rng.random() < 0.5
            fcntl.flock(fd, fcntl.LOCK_EX) if by_flock else os.read(fd, 64)
            log("in", time.monotonic_ns())
            if rng.random() < 0.3:
                time.sleep(rng.uniform(0, 0.002))      # load
            log("out", time.monotonic_ns())
            fcntl.flock(fd, fcntl.LOCK_UN) if by_flock else write(fd, "1\n")
        if rng.random() < 0.5:
            fcntl.flock(fd, fcntl.LOCK_EX)             # close gives it back
        os.close(fd)


# --- condition, barrier, value, pipe -------------------------------------------------------------

def maker():
    """Tokens under a condition's lock, one notify for each."""
    fd = os.open("tokens.cond", os.O_RDWR)
    while not stopped():
        fcntl.flock(fd, fcntl.LOCK_EX)
        set_number("tokens.value", "+=1")
        log("made")
        write(fd, "1\n")
        fcntl.flock(fd, fcntl.LOCK_UN)
        time.sleep(rng.choice((0, 0, 0.003)))          # load


def taker():
    def limit(ns):         # IPCFS_IOC_TIMEOUT; a notify may go with the one who is killed
        if kills_clients:
            fcntl.ioctl(fd, 0x40086901, struct.pack("q", ns))

    fd = os.open("tokens.cond", os.O_RDWR)
    while True:
        fcntl.flock(fd, fcntl.LOCK_EX)
        while number("tokens.value") == 0:
            if stopped("stop-takers"):
                return
            limit(500_000_000)
            try:
                os.read(fd, 64)
            except TimeoutError:
                if not kills_clients:
                    raise
            limit(-1)
            log("woke")        # who had the lock before may have taken the token: again and again
        set_number("tokens.value", "-=1")
        log("took")
        fcntl.flock(fd, fcntl.LOCK_UN)


def barrier():
    """Rounds of two meetings; between them the first one in says whether there is another."""
    fd, round_ = os.open("four.barrier", os.O_RDWR), 0
    try:
        while True:
            index = int(os.read(fd, 64))
            log("round", 2 * round_, index)
            if index == 0:
                set_number("another.value", 0 if stopped() else 1)
            log("round", 2 * round_ + 1, int(os.read(fd, 64)))
            if number("another.value") == 0:
                return
            round_ += 1
    except OSError as error:
        if error.errno != errno.ECANCELED or not kills_clients:
            raise


def adder():
    fd = os.open("sum.value", os.O_RDWR)
    while not stopped():
        write(fd, "+=1\n")
        log("ticket", int(os.read(fd, 64)))


def asker():
    """Question and answer over a two-way pipe, in records. NAME is GENERATION-MEMBER."""
    fd = os.open(f"talk{name.split('-')[0]}.pipe/a", os.O_RDWR | os.O_DIRECT)
    try:
        turn = 0
        while not stopped():
            write(fd, f"{turn} " + "q" * rng.randrange(1, 3000))
            if (got := os.read(fd, 1 << 16)) != b"%d" % (turn + 1):
                if not got and kills_clients:
                    return
                raise OSError(f"answer {got[:40]!r} to {turn}")
            turn += 1
            log("turn", turn)
    except BrokenPipeError:
        if not kills_clients:
            raise


def answerer():
    fd = os.open(f"talk{name.split('-')[0]}.pipe/b", os.O_RDWR | os.O_DIRECT)
    try:
        turn = 0
        while question := os.read(fd, 1 << 16):
            if not question.startswith(b"%d q" % turn) or question.strip(b"0123456789 q"):
                raise OSError(f"question {question[:40]!r}, expected {turn}")
            turn += 1
            log("turn", turn)
            write(fd, str(turn))
    except BrokenPipeError:
        if not kills_clients:
            raise


# --- those who only look, name, or wait with a limit ------------------------------------------------

def looker():
    while not stopped():
        for entry in os.scandir("."):
            try:
                entry.stat()
            except FileNotFoundError:
                if not entry.name.startswith(("name", "talk")):
                    raise
        os.stat("plain.queue"), os.stat("tokens.cond"), os.statvfs(".")
        if rng.random() < 0.05:
            os.listdir("idle")
        log("turn")


def namer():
    """Each of these happens once: a create that came twice would say EEXIST."""
    one, two = f"name{name}a.queue", f"name{name}b.queue"
    while not stopped():
        fd = os.open(one, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        write(fd, "kept\n")
        os.rename(one, two)
        os.chmod(two, 0o640)
        if os.read(fd, 64) != b"kept\n" or os.stat(two).st_mode & 0o777 != 0o640:
            raise OSError("not what was made")
        os.close(fd)
        os.unlink(two)
        os.mkdir(f"name{name}")
        os.rmdir(f"name{name}")
        log("turn")


def timer():
    """Time limits go on from where they were when the worker dies."""
    while not stopped():
        start = time.monotonic()
        try:
            with open("never.event@0.3", "rb", buffering=0) as event:
                event.read(64)
        except TimeoutError:
            took = time.monotonic() - start
            log("limit", f"{took:.3f}")
            if not 0.29 <= took <= 5 * float(os.environ.get("IPCFS_SLOW", "1")):
                raise OSError(f"a limit of 0.3 s took {took:.3f} s") from None
        else:
            raise OSError("an event that nobody set")


globals()[role]()
