"""What ipcctl prints: tables, trees, raw text and JSON, on terminals and off them."""

import fcntl
import json
import os
import pty
import re
import struct
import termios

import pytest

from kit import IPCCTL, run, sh, spawn

pytestmark = pytest.mark.skipif(not os.access(IPCCTL, os.X_OK), reason=f"no {IPCCTL}: build first")

COLOR = re.compile("\x1b\\[[0-9;]*m")


def ipcctl(*args, **options):
    done = run([IPCCTL, *map(str, args)], **options)
    assert done.code == 0, done
    return done.out


def on_terminal(columns, *args, cwd="/", **env):
    """What a terminal of that many columns gets to see."""
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(cwd)
        os.environ.update({"LC_ALL": "C.UTF-8", "TERM": "xterm", **env})
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
        os.execv(IPCCTL, [IPCCTL, *map(str, args)])
    parts = []
    try:
        while part := os.read(fd, 65536):
            parts.append(part)
    except OSError:     # EIO: the terminal has no user left
        pass
    os.close(fd)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    return b"".join(parts).decode().replace("\r\n", "\n")


def column(text, name):
    lines = text.splitlines()
    at = lines[0].split().index(name)
    return [line.split()[at] for line in lines[1:]]


@pytest.fixture
def tree(area):
    os.makedirs(area.path("d/e"))
    area.make("d/jobs.queue").put(b"1\n2\n3\n")
    area.sem("d/e/slots.sem", 2)
    area.make("idle.queue")
    area.make("l.lock")
    return area


def test_a_tree(tree):
    lines = ipcctl("ls", "--tree", tree.dir, env={"LC_ALL": "C.UTF-8"}).splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["dir", "dir", "dir", "sem", "queue", "queue", "lock"]
    at = [re.search(r"[\w.]+\.(sem|queue|lock)", line) for line in lines[4:]]
    assert [m.group() for m in at] == ["slots.sem", "jobs.queue", "idle.queue", "l.lock"]
    assert [m.start() - at[3].start() for m in at] == [4, 2, 0, 0], "deeper is further right"
    assert "├─" in lines[2]
    assert "/" not in "".join(lines[2:])


def test_a_tree_for_scripts_is_a_list_of_paths(tree):
    assert ipcctl("ls", "--tree", "--raw", tree.dir) == ipcctl("ls", "--raw", tree.dir)
    assert ipcctl("ls", "--tree", "--json", tree.dir) == ipcctl("ls", "--json", tree.dir)


def test_filters(tree):
    def names(*args):
        return [os.path.relpath(n, tree.dir) for n in column(ipcctl("ls", *args, tree.dir), "NAME")]

    assert names("--type", "queue") == ["d/jobs.queue", "idle.queue"]
    assert names("-t", "sem,lock") == ["d/e/slots.sem", "l.lock"]
    assert names("--state", "empty") == ["idle.queue"]
    assert names("--state", "free", "-t", "sem") == ["d/e/slots.sem"]
    tree.obj("d/jobs.queue").set("closed", 1)
    assert names("-s", "closed,nonsense") == ["d/jobs.queue"]
    assert "slots.sem" not in ipcctl("ls", "--tree", "-t", "lock", tree.dir)
    assert ipcctl("ls", "--tree", "-t", "event", tree.dir) == "", "no branch without a leaf"
    assert run([IPCCTL, "ls", "-t", "nonsense", tree.dir]).code == 2


def test_sort(tree):
    tree.obj("d/jobs.queue").put(b"4\n5\n6\n7\n8\n9\n10\n11\n")       # 11: after 2 as a number
    def sizes(*args):
        return column(ipcctl("ls", "-o", "size", *args, tree.dir), "SIZE")

    assert sizes("--sort", "size") == ["0", "1", "2", "11"]
    assert sizes("--sort=-size") == ["11", "2", "1", "0"]
    rows = json.loads(ipcctl("ls", "--json", "--sort=-size", tree.dir))["objects"]
    assert [row["size"] for row in rows] == [11, 2, 1, 0]
    assert run([IPCCTL, "ls", "--sort", "nonsense", tree.dir]).code == 2


def test_columns(tree):
    assert ipcctl("ls", "-o", "TYPE,size", tree.dir).splitlines()[0].split() == ["TYPE", "SIZE"]
    default = ipcctl("ls", tree.dir).splitlines()[0].split()
    assert ipcctl("ls", "-o", "+handles", tree.dir).splitlines()[0].split() == [*default, "HANDLES"]
    assert ipcctl("ls", "--noheadings", "-o", "type", "-t", "lock", tree.dir) == "lock\n"


ODD = "odd \n\t\x1b[31m\\ü日.value"


def test_odd_names(area):
    area.make(ODD).put("line\x07 \x9b日本".encode())
    path = area.path(ODD)
    out = ipcctl("ls", area.dir, env={"LC_ALL": "C.UTF-8"})
    assert "odd \\x0a\\x09\\x1b[31m\\ü日.value" in out
    assert "line\\x07 \\xc2\\x9b日本" in out
    raw = ipcctl("ls", "--raw", "--noheadings", "-o", "name,state", area.dir).encode()
    assert raw.count(b"\n") == 1 and raw.count(b" ") == 1
    name = raw.split()[0]
    assert re.sub(rb"\\x(..)", lambda m: bytes.fromhex(m[1].decode()), name) == path.encode()
    assert json.loads(ipcctl("ls", "--json", area.dir))["objects"][0]["name"] == path


def test_json_parses_whatever_the_bytes(area):
    name = os.fsencode(area.dir) + b"/\xff\xed\xa0\x80\xc3.queue"
    with open(name, "w"):
        pass
    row, = json.loads(ipcctl("ls", "--json", area.dir))["objects"]
    assert row["name"].endswith("/" + "\ufffd" * 5 + ".queue")
    assert json.loads(ipcctl("show", "--json", os.fsdecode(name)))["status"]["size"] == 0


def test_wide_characters_keep_the_columns_straight(area):
    area.make("日本語.queue")
    area.make("abc.queue")
    lines = ipcctl("ls", area.dir, env={"LC_ALL": "C.UTF-8"}).splitlines()
    wide, = (line for line in lines if "日" in line)
    narrow, = (line for line in lines if "abc" in line)
    assert narrow.index("empty") - wide.index("empty") == 3     # each takes two columns


@pytest.mark.parametrize("columns", [80, 200])
def test_lines_fit_the_terminal(mount, columns):
    mount.make("v.value").put(b"x" * 300)
    mount.make("l.lock")
    event = mount.make("none.event")
    long = spawn(["sh", "-c", f"read x < {event.path} # " + "y" * 300])
    event.await_waiters(1)
    for command in ("ls", "waiters"):
        out = on_terminal(columns, command, ".", cwd=mount.dir)
        assert max(map(len, COLOR.sub("", out).splitlines())) <= columns
        assert "./none.event" in out
    assert "x" * 300 in ipcctl("ls", mount.dir), "a pipe has no width"
    assert long.running
    long.kill()


def test_colors_are_for_terminals(area):
    lock = area.make("l.lock")
    fd = lock.open()
    fcntl.flock(fd, fcntl.LOCK_EX)
    assert COLOR.search(on_terminal(80, "ls", area.dir))
    assert not COLOR.search(on_terminal(80, "ls", area.dir, NO_COLOR="1"))
    assert not COLOR.search(on_terminal(80, "ls", area.dir, TERM="dumb"))
    assert not COLOR.search(on_terminal(80, "ls", "--json", area.dir))
    assert "\x1b" not in ipcctl("ls", area.dir, env={"TERM": "xterm"})
    os.close(fd)


def test_doctor_says_the_cure_below(tmp_path):
    done = run([IPCCTL, "doctor", str(tmp_path)])
    assert done.code == 1
    line, = (n for n, text in enumerate(done.out.splitlines()) if "is not an ipcfs mount point" in text)
    found, cure = done.out.splitlines()[line:line + 2]
    assert cure.strip() == f"cure: ipcfs {tmp_path}"
    assert cure.index("cure") == found.index(str(tmp_path))


def test_show_fits_one_screen(area):
    q = area.make("q.queue")
    readers = [spawn(["cat", q.path]) for _ in range(30)]
    q.await_waiters(30)
    lines = on_terminal(80, "show", q.path).splitlines()
    assert len(lines) < 24, "and the prompt"
    assert lines[0].split() == ["FACT", "VALUE", "SETTING", "VALUE"]
    shown = sum("cat " in line for line in lines)
    assert 3 <= shown < 30
    assert lines[-1] == f"and {30 - shown} more"
    assert ipcctl("show", q.path).count("cat ") == 30, "not off the terminal"
    for reader in readers:
        reader.kill()


@pytest.mark.limit(120)
def test_ten_thousand_objects(mount):
    for folder in range(10):
        os.mkdir(mount.path(f"d{folder}"))
        for n in range(1000):
            with open(mount.path(f"d{folder}/{n}.queue"), "x"):
                pass
    mount.obj("d7/77.queue").put(b"x\n")
    for args, lines in ([], 10001), (["--tree"], 10012):
        assert len(ipcctl("ls", *args, mount.dir, timeout=100).splitlines()) == lines
    assert len(json.loads(ipcctl("ls", "--json", "-x", "name", mount.dir, timeout=100))["objects"]) == 10000
    assert len(on_terminal(80, "ls", mount.dir).splitlines()) == 10001
    # A reader that takes its time (a pager) is no daemon that does not answer.
    assert sh(f"{IPCCTL} ls {mount.dir} | (sleep 6; wc -l)", timeout=60).out == "10001\n"
    assert len(on_terminal(80, "show", mount.dir).splitlines()) < 24
