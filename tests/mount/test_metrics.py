""".ctl/stats and .ctl/metrics: numbers of all objects, however many; `ipcctl metrics`."""

import os
import shutil
import signal

import pytest

from kit import IPCCTL, eventually, fork, run, sh
from kit.stopped import HOSTILE, Keeper

STRANGE = 'né\n"w\\\tx.queue'


def read_file(path):
    with open(path, "rb") as file:
        return file.read().decode("utf-8", "surrogateescape")


def rows(mount):
    """.ctl/stats: {path: {column: text}}."""
    first, *rest = read_file(mount.path(".ctl/stats")).splitlines()
    names = first.split("\t")
    found = [dict(zip(names, line.split("\t"), strict=True)) for line in rest]
    return {row["path"]: row for row in found}


def samples(text, name):
    return [line for line in text.splitlines() if line.startswith(name + "{")]


def some_objects(mount):
    os.mkdir(mount.path("sub"))
    mount.make(STRANGE)
    with open(os.fsencode(mount.dir) + b"/bad\xff.lock", "xb"):
        pass
    for kind in ("pipe", "event", "sem", "rlock", "cond", "barrier", "value", "array"):
        mount.make(f"sub/x.{kind}")
    q = mount.make("a.queue")
    sh("echo 1 > a.queue; echo 2 > a.queue; read x < a.queue; echo 3 > sub/x.sem", cwd=mount.dir)
    return q


def test_a_row_for_each_object(mount):
    q = some_objects(mount)
    found = rows(mount)
    assert len(found) == 11
    assert [found["a.queue"][name] for name in ("type", "size", "puts", "gets", "bytes_put")] == ["queue", "1", "2", "1", "-"]
    assert float(found["a.queue"]["oldest"]) > 0
    assert found["sub/x.sem"]["puts"] == "3"
    assert 'né\\012"w\\134\\011x.queue' in found
    assert run(["flock", mount.path("sub/x.rlock"), "true"]).code == 0
    assert rows(mount)["sub/x.rlock"]["gets"] == "1"
    # What is not mapped, after a start.
    mount.remount()
    assert [rows(mount)["a.queue"][name] for name in ("size", "puts", "gets")] == ["1", "2", "1"]
    assert float(rows(mount)["a.queue"]["oldest"]) > 0
    assert q.get() == b"2\n"


def test_the_rules_of_openmetrics(mount):
    parser = pytest.importorskip("prometheus_client.openmetrics.parser")
    some_objects(mount)
    text = read_file(mount.path(".ctl/metrics"))
    families = {f.name: f for f in parser.text_string_to_metric_families(text)}
    puts = {s.labels["path"]: s.value for s in families["ipcfs_object_puts"].samples}
    assert puts["a.queue"] == 2 and puts["sub/x.sem"] == 3 and puts[STRANGE] == 0
    assert families["ipcfs_object_longest_wait_seconds"].unit == "seconds"
    assert "bad\\xff.lock" in {s.labels["path"] for s in families["ipcfs_object_gets"].samples}
    assert len(families["ipcfs_object_size"].samples) == 11
    assert text.endswith("# EOF\n")


@pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool")
def test_promtool_finds_nothing_wrong(mount, mount_with, tmp_path):
    some_objects(mount)
    other = mount_with()
    other.make("b.queue").put(b"x\n")
    out = tmp_path / "ipcfs.prom"
    out.write_text("old")
    assert run([IPCCTL, "metrics", "-o", str(out), mount.dir, other.dir]).code == 0
    assert os.listdir(tmp_path) == ["ipcfs.prom"]
    done = run(["promtool", "check", "metrics"], data=out.read_bytes())
    assert (done.code, done.out, done.err) == (0, "", "")
    text = out.read_text()
    assert len(samples(text, "ipcfs_version")) == 2
    assert text.count("# TYPE ipcfs_object_puts_total counter\n") == 1
    printed = run([IPCCTL, "metrics", mount.dir])
    assert printed.code == 0 and printed.out.startswith("# TYPE ipcfs_version gauge\n")


def test_a_file_is_left_as_it_was(mount, tmp_path):
    out = tmp_path / "ipcfs.prom"
    out.write_text("old\n")
    done = run([IPCCTL, "metrics", "-o", str(out), str(tmp_path)])
    assert done.code == 1 and "no ipcfs with metrics is mounted there" in done.err
    assert out.read_text() == "old\n" and os.listdir(tmp_path) == ["ipcfs.prom"]
    assert run([IPCCTL, "metrics", "-o", str(tmp_path / "none" / "x"), mount.dir]).code == 1


@pytest.mark.skipif(not os.access(HOSTILE, os.X_OK), reason="no libipcfs in this build")
def test_what_is_stalled_is_not_waited_for(mount):
    q, free = mount.make("a.queue"), mount.make("b.queue")
    keeper = Keeper(q)
    reading = fork(lambda: read_file(mount.path(".ctl/metrics")))
    text = reading.result(10)
    assert [line.rsplit(" ", 1)[1] for line in samples(text, "ipcfs_object_stalled")] == ["1", "0"]
    assert len(samples(text, "ipcfs_object_puts_total")) == 1
    assert rows(mount)["a.queue"]["puts"] == "?"
    keeper.kill()
    eventually(lambda: rows(mount)["a.queue"]["puts"] == "0")
    free.put(b"x\n")


def test_many_objects_do_not_keep_others_waiting(mount):
    n = 3000
    for i in range(n):
        os.mknod(mount.path(f"{i}.queue"))
    for name in ("stats", "metrics"):
        fd = os.open(mount.path(f".ctl/{name}"), os.O_RDONLY)
        first = os.read(fd, 1 << 20)
        # A request looks at some hundred of them: then others have their turn.
        assert 1 < first.count(b"\n") < 300
        # A new worker goes on at a whole line.
        worker = mount.worker()
        os.kill(worker, signal.SIGKILL)
        eventually(lambda: mount.worker() != worker)
        rest = b"".join(iter(lambda: os.read(fd, 1 << 20), b""))
        os.close(fd)
        lines = (first + rest).decode().splitlines()
        if name == "stats":
            assert len(lines) >= n and all(line.count("\t") == 16 for line in lines)
        else:
            assert lines[-1] == "# EOF"
    text = read_file(mount.path(".ctl/metrics"))
    assert len(samples(text, "ipcfs_object_size")) == len(samples(text, "ipcfs_object_waits_total")) == n
    # Names come and go meanwhile.
    fd = os.open(mount.path(".ctl/stats"), os.O_RDONLY)
    text = os.read(fd, 1000)
    for i in range(n):
        if i % 3:
            os.unlink(mount.path(f"{i}.queue"))
    text += b"".join(iter(lambda: os.read(fd, 1 << 20), b""))
    os.close(fd)
    paths = [line.rsplit(b"\t", 1)[1] for line in text.splitlines()[1:]]
    assert len(paths) == len(set(paths)) and {f"{i}.queue".encode() for i in range(0, n, 3)} <= set(paths)


def test_nobody_at_home(mount, tmp_path):
    pid = mount.worker()
    os.kill(pid, signal.SIGSTOP)
    try:
        done = run([IPCCTL, "metrics", "-o", str(tmp_path / "x.prom"), mount.dir], timeout=60)
        assert done.code == 7 and "no answer" in done.err and not os.listdir(tmp_path)
    finally:
        os.kill(pid, signal.SIGCONT)
