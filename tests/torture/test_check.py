"""check.py finds what it is there to find (no mount needed)."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import check  # noqa: E402

NONE = dict.fromkeys(("producer", "consumer", "leaser", "locker", "maker", "taker", "adder"), 0)


@pytest.fixture
def logs(tmp_path):
    def write(**texts):
        for name, text in texts.items():
            role, _, who = name.partition("__")
            (tmp_path / f"{role}.{who}").write_text(text.replace("; ", "\n") + "\n")
        return check.Logs(tmp_path)
    return write


PUT = "try 0 3; put 0 3"


@pytest.mark.parametrize("got, good", [
    ("got a 0; got a 1; got a 2", True), ("got a 0; got a 2", False),
    ("got a 0; got a 1; got a 1; got a 2", False), ("got a 1; got a 0; got a 2", False),
    ("got a 0; got a 1; got a 2; got a 3", False), ("got a 0; got a 1; got a 2; got b 0", False)])
def test_queue(logs, got, good):
    assert (check.check_queue(logs(producer__a=PUT, consumer__c=got), NONE, "producer", "consumer") == []) == good


def test_killed_clients_may_have_done_one_thing_more(logs):
    found = logs(producer__a=PUT + "; try 3 4", consumer__c="got a 0; got a 1; got a 3")
    assert check.check_queue(found, NONE, "producer", "consumer")
    assert check.check_queue(found, NONE | {"consumer": 1}, "producer", "consumer") == []


@pytest.mark.parametrize("acked, good", [
    ("leased a 0; leased a 0; acked a 0; acked a 1; acked a 2", True),
    ("acked a 0; acked a 1", False), ("acked a 0; acked a 0; acked a 1; acked a 2", False)])
def test_leases(logs, acked, good):
    found = logs(lease_producer__a=PUT, leaser__l=acked)
    assert (check.check_leases(found, NONE) == []) == good


@pytest.mark.parametrize("two, good", [("in 30; out 40", True), ("in 20; out 40", True),
                                       ("in 15; out 40", False), ("in 15", True)])
def test_inside(logs, two, good):
    found = logs(semaphore__a="in 10; out 20", semaphore__b=two)
    assert (check.inside(found, "semaphore", 1) == []) == good


@pytest.mark.parametrize("counted, good", [(2, True), (1, False), (3, False)])
def test_section(logs, tmp_path, counted, good):
    (tmp_path / "locker-counter").write_text(f"{counted:20}")
    found = logs(locker__a="in 10; out 20; in 30; out 40")
    assert (check.check_section(found, "locker", NONE) == []) == good


@pytest.mark.parametrize("left, good", [(1, True), (0, False), (2, False)])
def test_tokens(logs, left, good):
    found = logs(maker__a="made; made; made", taker__a="took; took")
    assert (check.check_tokens(found, NONE, left) == []) == good


@pytest.mark.parametrize("last, good", [(3, True), (2, False), (4, False)])
def test_barrier(logs, last, good):
    found = logs(**{f"barrier__0-{i}": f"round 0 {i}" for i in range(3)},
                 **{"barrier__0-3": f"round 0 {last}"})
    if last == 4:
        found = logs(**{"barrier__0-3": "round 1 0; round 2 0; round 3 0"})
    assert (check.check_barrier(found) == []) == good


@pytest.mark.parametrize("total, good", [(3, True), (2, False), (4, False)])
def test_sum(logs, total, good):
    found = logs(adder__a="ticket 1; ticket 3", adder__b="ticket 2")
    assert (check.check_sum(found, NONE, total) == []) == good


def test_a_ticket_given_twice(logs):
    assert check.check_sum(logs(adder__a="ticket 1", adder__b="ticket 1"), NONE, 2)
