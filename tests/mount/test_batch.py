"""ipcctl batch: the messages of a queue as jobs with IDs."""

import json
import os
import signal

import pytest

from kit import IPCCTL, eventually, run, spawn

pytestmark = pytest.mark.skipif(not os.access(IPCCTL, os.X_OK), reason=f"no {IPCCTL}: build first")


@pytest.fixture
def q(area):
    return area.make("jobs.queue")


def batch(q, *args, code=0):
    done = run([IPCCTL, "batch", *map(str, args)] if q is None else
               [IPCCTL, "batch", q.path, *map(str, args)])
    assert code is None or done.code == code, done
    return done


def jobs(q, *args, code=0):
    return json.loads(batch(q, "--json", *args, code=code).out)["jobs"]


def lease(q):
    fd = os.open(q.ctl_path("lease"), os.O_RDONLY)
    return fd, os.read(fd, 1 << 17).split(b"\t")[0].decode()


def test_shows_every_state(q):
    q.set("max_attempts", 1)
    q.put(b"dies\nworks\ncomes later\nwaits\n")
    dead, first = lease(q)
    os.close(dead)
    held, second = lease(q)
    q.set("max_attempts", 0)
    later, third = lease(q)
    q.set("nack", f"{third} 1000")
    rows = {row["message"]: row for row in jobs(q)}
    assert {m: row["state"] for m, row in rows.items()} == {
        "dies": "dead", "works": "leased", "comes later": "delayed", "waits": "ready"}
    assert rows["works"]["pid"] == os.getpid() and rows["works"]["attempt"] == 1
    assert rows["works"]["age"] >= 0 and rows["works"]["seconds"] >= 0
    assert [row["message"] for row in jobs(q, second, third)] == ["works", "comes later"]
    assert rows["dies"]["id"] == int(first)
    assert "MESSAGE" in batch(q).out.splitlines()[0]
    os.close(held)
    os.close(later)


def test_an_id_that_is_not_there(q):
    assert "no such message" in batch(q, 7, code=1).err
    assert batch(q, "seven", code=2).err
    assert "no such message" in batch(q, "--wait", 7, code=1).err


def test_waits_for_one(q):
    q.put(b"a\nb\n")
    fd, first = lease(q)
    assert batch(q, "--wait", "-n", first, code=3).err
    assert batch(q, "--wait", "-t", 0.1, first, code=4).err
    waiting = spawn([IPCCTL, "batch", q.path, "--wait", first])
    eventually(lambda: len(q.waiters()) == 0 and waiting.running)
    q.set("ack", first)
    assert waiting.finish(20).code == 0
    os.close(fd)
    assert q.size == 1
    batch(q, "--wait", first), "what is finished is not waited for"


def test_waits_for_all_that_are_there(q):
    q.put(b"a\nb\n")
    waiting = spawn([IPCCTL, "batch", q.path, "--wait"])
    worker = spawn([IPCCTL, "work", q.path, "-j", "2", "true"])
    assert waiting.finish(30).code == 0
    os.kill(worker.pid, signal.SIGTERM)
    worker.finish(20)
    assert q.number("unfinished") == 0
    batch(q, "--wait")


def test_wait_tells_of_a_dead_letter(q):
    q.set("max_attempts", 1)
    q.put(b"a\n")
    fd, first = lease(q)
    waiting = spawn([IPCCTL, "batch", q.path, "--wait", first])
    eventually(lambda: waiting.running)
    os.close(fd)
    done = waiting.finish(20)
    assert done.code == 1 and "failed for good" in done.err


def test_retry(q):
    q.set("max_attempts", 1)
    q.put(b"a\nb\nc\n")
    ids = []
    for _ in range(3):
        fd, ident = lease(q)
        os.close(fd)
        ids.append(ident)
    batch(q, "--retry", ids[1])
    assert q.messages() == [b"b"]
    assert "no dead letter" in batch(q, "--retry", ids[1], code=1).err
    batch(q, "--retry", "--all")
    assert q.messages() == [b"b", b"a", b"c"]
    assert batch(q, "--retry", code=2).err
    assert batch(q, "--wait", "--retry", ids[0], code=2).err


def test_remove(q):
    q.set("max_attempts", 1)
    q.put(b"a\nb\nc\n")
    dead, first = lease(q)
    os.close(dead)
    held, second = lease(q)
    third = jobs(q)[0]["id"]
    batch(q, "--remove", first, third)
    assert (q.size, q.ctl("dead"), q.number("unfinished")) == (0, "", 1)
    assert "worked on" in batch(q, "--remove", second, code=1).err
    os.close(held)


def test_results(q, tmp_path):
    q.set("max_attempts", 1)
    q.put(b"0\n3\n")
    run([IPCCTL, "work", q.path, "--until-empty", "--results", str(tmp_path), "--",
         "sh", "-c", "exit $1", "sh"])
    q.put(b"waits\n")
    rows = {row["message"]: row for row in jobs(q, "--results", tmp_path)}
    assert (rows["0"]["state"], rows["0"]["exit"]) == ("done", 0)
    assert (rows["3"]["state"], rows["3"]["exit"]) == ("dead", 3)
    assert rows["waits"]["state"] == "ready" and "exit" not in {k for k, v in rows["waits"].items() if v is not None}
    assert batch(q, "--results", tmp_path / "none", code=1).err


def test_what_is_no_queue(area):
    assert "not a queue" in batch(area.make("x.lock"), code=1).err
    assert run([IPCCTL, "batch", area.path("missing.queue")]).code == 1
