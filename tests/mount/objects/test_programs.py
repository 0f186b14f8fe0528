"""The tutorial programs of multiprocessing, redone with files, in several languages.

programs/TOPIC.{sh,py,pl,js,c} is one program each: it gets a fresh folder of a mount and does
the rest itself. What it has to print is said here once for all languages.
"""
import re
import subprocess
import sys

import pytest

from helpers import HERE
from kit import T

PROGRAMS = HERE / "programs"
RUNNERS = {".sh": ["bash"], ".py": [sys.executable], ".pl": ["perl"], ".js": ["node"]}


def versions(topic):
    paths = sorted(PROGRAMS.glob(topic + ".*"))
    assert {".sh", ".py"} <= {path.suffix for path in paths}
    return pytest.mark.parametrize("path", paths, ids=lambda path: path.suffix[1:])


@pytest.fixture
def lines(start, output, ipc, tmp_path):
    """Runs one version of a program in the fresh folder; the lines that it printed."""
    def run(path, *args):
        if path.suffix == ".c":
            binary = tmp_path / path.stem
            subprocess.run(["cc", "-Wall", "-o", binary, path], check=True, timeout=T(60))
            command = [binary]
        else:
            command = [*RUNNERS[path.suffix], path]
        return output(start([*command, ipc, *args]))
    return run


def test_six_topics_have_a_third_language():
    topics = [path.stem for path in PROGRAMS.iterdir() if path.suffix in (".pl", ".js", ".c")]
    assert len(set(topics)) >= 6


@versions("tickets")
@pytest.mark.parametrize("how, sold", [("lock", 3), ("nolock", 8)])
def test_tickets(lines, path, how, sold):
    """Without the lock they oversell, with it never."""
    assert lines(path, how) == [f"sold {sold} of 3"]


@versions("ktv")
def test_ktv_with_four_rooms(lines, path):
    *guests, rooms = lines(path)
    found = [re.fullmatch(r"guest (\d+) sings, (\d+) inside", line).groups() for line in guests]
    assert len({guest for guest, _ in found}) == 12
    assert {int(inside) for _, inside in found} <= {1, 2, 3, 4}
    assert max(int(inside) for _, inside in found) > 1, "they sing at the same time"
    assert rooms == "rooms free: 4"


@versions("traffic_light")
def test_traffic_light(lines, path):
    got = lines(path)
    green = got.index("green")
    cars = range(1, 6)
    assert sorted(got[:green]) == [*(f"car {i} arrives" for i in cars), "red"]
    assert sorted(got[green + 1:-2]) == [f"car {i} passes" for i in cars]
    assert got[-2:] == ["red", "car 6 still waits"]


@versions("sentinel")
def test_producer_and_consumer_ended_by_a_sentinel(lines, path):
    check_meal(lines(path))


@versions("closed")
def test_producer_and_consumer_ended_by_closing_the_queue(lines, path):
    check_meal(lines(path))


def check_meal(got):
    eaten = [line for line in got if line.startswith("ate")]
    assert sorted(eaten) == sorted(f"ate bun {i}" for i in range(1, 11))
    assert sorted(set(got) - set(eaten)) == [f"consumer {i} is full" for i in (1, 2)]


@versions("task_done")
def test_producer_waits_by_join_until_all_is_done(lines, path):
    assert lines(path) == [*(f"ate bun {i}" for i in range(1, 11)), "all eaten"]


@versions("joinable")
def test_three_producers_and_two_consumers(lines, path):
    got = lines(path)
    foods = ("bun", "bone", "swill")
    eaten = [re.sub(r"^(egg|alex) ate ", "", line) for line in got if " ate " in line]
    assert sorted(eaten) == sorted(f"{food} {i}" for food in foods for i in range(1, 6))
    assert sorted(line for line in got if " ate " not in line) == \
        sorted(f"cook of {food} goes home" for food in foods)
    for food in foods:
        home = got.index(f"cook of {food} goes home")
        before = [line for line in got[:home] if f" ate {food} " in line]
        assert len(before) == 5, "nobody goes home before the own food is eaten"


@versions("adder")
def test_adder_server_over_a_two_way_pipe(lines, path):
    got = lines(path)
    assert got == ["1 + 7 = 8", "20 + 7 = 27", "-5 + 7 = 2", "the client has gone"]


@versions("end_of_file")
@pytest.mark.parametrize("how, last", [
    ("closed", "end of file"), ("open", "still waiting: I have an end open myself")])
def test_end_of_file_and_the_end_left_open(lines, path, how, last):
    assert lines(path, how) == ["got hello", last]


@versions("shared_memory")
def test_value_and_array_changed_by_a_child(lines, path):
    number, numbers = lines(path)
    assert float(number) == 3.1415927
    assert numbers == "0 -1 -2 -3 -4 -5 -6 -7 -8 -9"


@versions("notify_all")
def test_condition_with_notify_all(lines, path):
    first, *rest = lines(path)
    assert first == "waiting: 3"
    assert sorted(rest) == [f"worker {i} plays" for i in (1, 2, 3)]


@versions("barrier")
def test_barrier(lines, path):
    got = lines(path)
    assert sorted(got[:4]) == [f"walker {i} arrives" for i in range(1, 5)]
    found = [re.fullmatch(r"walker (\d) goes on, (\d)", line).groups() for line in got[4:]]
    assert sorted(number for number, _ in found) == ["1", "2", "3", "4"]
    assert sorted(index for _, index in found) == ["0", "1", "2", "3"]


@versions("event_limit")
def test_event_with_a_time_limit(lines, path):
    assert lines(path) == ["not yet", "ready"]


@versions("print_lock")
def test_twelve_workers_print_under_one_lock(lines, path):
    got = lines(path)
    assert len(got) == 36
    for first in range(0, 36, 3):
        worker = got[first].split()[1]
        assert got[first:first + 3] == [f"worker {worker} line {i}" for i in (1, 2, 3)]
    assert len(set(got)) == 36
