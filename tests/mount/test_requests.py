"""What a shell's idioms cost: the requests that the kernel makes of the daemon, as that prints them with -d."""

import os
import re
from collections import Counter

import pytest

from kit import run

TOLD = tuple(int(n) for n in os.uname().release.split(".")[:2]) >= (6, 15)
pytestmark = pytest.mark.skipif(not TOLD, reason="this kernel does not tell how a process ended that is gone: "
                                                 "writers ask for FLUSH")
LINE = re.compile(r"^(?:ipcfs: )?unique: \d+, opcode: (\w+) \(\d+\), nodeid: \d+, insize: \d+, pid: (\d+)$", re.M)
UNCOUNTED = {"FORGET", "BATCH_FORGET", "INTERRUPT"}     # nobody waits for them
LOOKS = {"LOOKUP", "GETATTR"}       # one or the other, as the kernel has the name
FEW, MANY = 8, 40


@pytest.fixture(scope="module")
def traced():
    from kit import Mount
    mount = Mount(args=("-d",)).start()
    mount.make("q.queue")
    mount.make("t.queue")
    mount.make("e.event")
    mount.make("l.lock")
    mount.make("v.value")
    mount.sem("s.sem", permits=3)
    os.mkdir(mount.path("folder"))
    for i in range(20):
        os.mknod(mount.path(f"folder/{i}.queue"), 0o600)
    yield mount
    mount.dispose()


def requests(mount, shell, commands, times):
    """What so many turns of a loop in one shell ask for."""
    start = os.path.getsize(mount.log_path)
    done = run([shell, "-c", f"i=0; while [ $i -lt {times} ]; do i=$((i + 1)); {commands}; done"], cwd=mount.dir)
    assert done.code == 0, done
    os.stat(mount.path(".ctl"))     # what was closed comes before this
    with open(mount.log_path, encoding="utf-8", errors="replace") as log:
        log.seek(start)
        text = log.read()
    return Counter("LOOK" if word in LOOKS else word for word, pid in LINE.findall(text)
                   if int(pid) != os.getpid() and word not in UNCOUNTED)


def each_turn(mount, shell, commands):
    """{request: how many in each turn}, but for the first ones and for what starts the shell.

    The kernel may ask once more where the machine was busy for longer than it keeps attributes.
    """
    few = requests(mount, shell, commands, FEW)
    many = requests(mount, shell, commands, MANY)
    counts = {word: round((many[word] - few[word]) / (MANY - FEW)) for word in many}
    return " ".join(f"{n} {word}" if n > 1 else word for word, n in sorted(counts.items()) if n)


PUT = "LOOK OPEN RELEASE WRITE"
PUT_GET = {"bash": "IOCTL 2 LOOK 2 OPEN READ 2 RELEASE WRITE", "dash": "2 LOOK 2 OPEN 2 READ 2 RELEASE WRITE"}

# bash asks of what it reads whether it is a terminal (IOCTL); dash reads a byte at a time, and so the
# line "x" in two; cat, grep and the shells' own printing ask for the block size (a LOOK), and cat
# reads until the end.
IDIOMS = {
    "echo 1 > e.event": PUT,
    "echo x >> q.queue; read -r y < q.queue": PUT_GET,
    "echo x > q.queue; read -r y < q.queue": PUT_GET,
    "printf 'x\\n' > q.queue; read -r y < q.queue": PUT_GET,
    "printf 'a ' > t.queue; read -r y < t.queue": {     # who leaves lines unfinished is asked at each close
        "bash": "2 FLUSH IOCTL 2 LOOK 2 OPEN READ 2 RELEASE WRITE",
        "dash": "2 FLUSH 2 LOOK 2 OPEN 3 READ 2 RELEASE WRITE"},
    "echo 5 > v.value; read -r y < v.value": PUT_GET,
    "echo 1 > s.sem; read -r y < s.sem": PUT_GET,
    "echo x > q.queue; [ -s q.queue ]; read -r y < q.queue": {
        "bash": "IOCTL 3 LOOK 2 OPEN READ 2 RELEASE WRITE", "dash": "3 LOOK 2 OPEN 2 READ 2 RELEASE WRITE"},
    "echo x > q.queue; head -n1 q.queue > /dev/null": "2 LOOK 2 OPEN READ 2 RELEASE WRITE",
    "cat e.event > /dev/null": "2 LOOK OPEN 2 READ RELEASE",
    "cat e.event@inf > /dev/null": "2 LOOK OPEN 2 READ RELEASE",
    "flock l.lock true": "LOOK OPEN RELEASE SETLKW",
    "flock -n s.sem true": "LOOK OPEN RELEASE SETLK",
    "[ -e l.lock ]": "LOOK",
    "touch q.queue": "LOOK OPEN RELEASE SETATTR",
    "ls -l folder > /dev/null": "LOOK OPENDIR 2 READDIRPLUS RELEASEDIR",
    "cat q.queue.ctl/size > /dev/null": "3 LOOK OPEN 2 READ RELEASE",
    "echo 0 > q.queue.ctl/maxsize": "2 LOOK OPEN RELEASE WRITE",
}


@pytest.mark.parametrize("shell", ["bash", "dash"])
@pytest.mark.parametrize("commands", IDIOMS, ids=lambda c: c.replace("/", "|"))
def test_idiom(traced, shell, commands):
    if "e.event" in commands:
        with open(traced.path("e.event"), "w", encoding="ascii") as event:
            event.write("1")
    want = IDIOMS[commands]
    assert each_turn(traced, shell, commands) == (want if isinstance(want, str) else want[shell])


@pytest.mark.parametrize("shell, reads", [("bash", "IOCTL READ WRITE"), ("dash", "2 READ WRITE")])
def test_open_descriptors(traced, shell, reads):
    """exec 3<> … or while … done < …: no more than the reads and writes themselves."""
    loop = "exec 3<> q.queue; echo x >&3; read -r y <&3"
    once = requests(traced, shell, loop, 1)
    inner = "[ $i = 1 ] && exec 3<> q.queue; echo x >&3; read -r y <&3"
    if shell == "bash":     # a stream is read a byte at a time
        reads = "IOCTL 2 READ WRITE"
    assert each_turn(traced, shell, inner) == reads
    assert once["OPEN"] == once["RELEASE"] == 1 and once["FLUSH"] == 0
