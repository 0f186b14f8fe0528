"""A short run of tests/torture/torture.py (issue 4); IPCFS_LONG=1 kills a thousand times."""

import os
import sys

import pytest

from kit import BUILD, INSTRUMENTED, run

LONG = os.environ.get("IPCFS_LONG") == "1"
KILLS = 1000 if LONG else 5 if INSTRUMENTED else 15
DIRECT = os.path.join(BUILD, "tests", "torture", "torture-direct")
TORTURE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../torture/torture.py")


def torture(mount, *arguments, timeout):
    if INSTRUMENTED:
        arguments += ("--ignore-worker-memory",)
    code, out, err = run([sys.executable, TORTURE, "--mount", mount.dir, "--kills", str(KILLS),
                          "--seed", os.environ.get("IPCFS_SEED", "1"), *arguments],
                         timeout=timeout)
    assert code == 0 and "all is well" in out, f"exit {code}\n{out}\n{err}"
    print(out)


@pytest.mark.limit(1800 if LONG else 170)
@pytest.mark.parametrize("clients", [(), ("--kill-clients",)], ids=["worker", "worker+clients"])
def test_nothing_lost_nothing_twice(mount, clients):
    torture(mount, *clients, timeout=1700 if LONG else 150)
    assert mount.alive, "the supervisor is the same"


@pytest.mark.limit(1800 if LONG else 170)
def test_kills_a_few_milliseconds_apart(mount):
    """So that most of them hit a worker that has just begun."""
    torture(mount, "--gap", "0.003", timeout=1700 if LONG else 150)


@pytest.mark.limit(1800 if LONG else 170)
@pytest.mark.skipif(not os.access(DIRECT, os.X_OK), reason="no libipcfs in this build")
@pytest.mark.parametrize("clients", [(), ("--kill-clients",)], ids=["worker", "worker+clients"])
def test_with_direct_clients_among_them(mount, clients):
    """And none of those sleeps while there is something for it."""
    torture(mount, "--direct", DIRECT, *clients,
            timeout=1700 if LONG else 150)


@pytest.mark.limit(300)
@pytest.mark.skipif(INSTRUMENTED, reason="the times say nothing")
def test_median_wait_for_a_restart_with_many_objects(mount):
    """Issue 4: under 50 ms with 10,000 objects."""
    torture(mount, "--objects", "10000", "--max-wait", "50", timeout=280)
