"""Fixtures: `area` (a folder of a mount that the module shares), `mount`, `mount_with`."""

import os
import shutil
import signal
import sys
import threading

import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from kit import IPCFS, T, Folder, Mount, close_fds_below, kill_strays, stacks  # noqa: E402
from kit.mount import check_reports  # noqa: E402
from kit.proc import become_subreaper, descendants  # noqa: E402

DEFAULT_LIMIT = 60


def pytest_configure(config):
    config.addinivalue_line("markers", "limit(seconds): hard time limit of a test, before IPCFS_SLOW")
    become_subreaper()
    # meson's, with the library under test: it goes before the path in a program's own file, and a
    # program that is built without a sanitizer cannot load the library that has one.
    os.environ.pop("LD_LIBRARY_PATH", None)


def pytest_collection_modifyitems(items):
    for path, mode, what in ((IPCFS, os.X_OK, "build first"),
                             ("/dev/fuse", os.R_OK | os.W_OK, "no mounts on this machine")):
        if not os.access(path, mode):
            skip = pytest.mark.skip(reason=f"no {path}: {what}")
            for item in items:
                item.add_marker(skip)


# --- a limit on everything ---------------------------------------------------------------------

class TestTimeout(AssertionError):
    """The hard limit of a test. pytest must not take it for a test class."""
    __test__ = False


def _waiting_stacks():
    pids = {os.getpid(), *descendants(os.getpid())}
    for mount in Mount.active:
        pids |= set(mount.pids())
    return stacks(sorted(pids))


def _say_which(item):
    """For tests/watch, which reports a test that not even the limit below ends."""
    if "IPCFS_NOW" in os.environ:
        with open(os.environ["IPCFS_NOW"], "w", encoding="utf-8") as file:
            file.write(item.nodeid)


def _limited(item):
    """Interrupt this process when the limit passes; if that does not help, abort the mounts."""
    _say_which(item)
    marker = item.get_closest_marker("limit")
    seconds = T(marker.args[0] if marker else DEFAULT_LIMIT)

    def on_alarm(_signo, _frame):
        report = _waiting_stacks()
        for mount in Mount.active:
            mount.tainted = True
        raise TestTimeout(f"the test took longer than {seconds:g} s\n{report}")

    def on_deaf():
        sys.stderr.write("a call on the mount cannot be interrupted; aborting\n" + _waiting_stacks())
        for mount in list(Mount.active):
            mount.tainted = True
            mount.abort()

    signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    timer = threading.Timer(seconds + 15, on_deaf)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        signal.setitimer(signal.ITIMER_REAL, 0)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_setup(item):
    yield from _limited(item)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    yield from _limited(item)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_teardown(item):
    yield from _limited(item)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for mount in Mount.active:
            report.sections.append((f"log of {' '.join(mount.argv())}", mount.log()[-20000:]))


@pytest.fixture(autouse=True)
def no_reports():
    """The first fixture, so its end is the last: by then the test's own daemons have ended."""
    yield
    check_reports()


# --- mounts --------------------------------------------------------------------------------------

@pytest.fixture
def mount_with():
    """A factory: mount_with(memory="64M") starts a daemon of this test's own."""
    made = []

    def factory(start=True, **options):
        mount = Mount(**options)
        made.append(mount)
        return mount.start() if start else mount

    yield factory
    failures = []
    for mount in reversed(made):
        try:
            mount.dispose()
        except Exception as error:  # all the others must be taken down too
            failures.append(error)
    if failures:
        raise failures[0]


@pytest.fixture
def mount(mount_with):
    return mount_with()


class _Shared:
    """The module's mount; a new one when a test has broken it."""

    def __init__(self):
        self.mount, self.count = None, 0

    def get(self):
        if self.mount and (self.mount.tainted or not self.mount.alive):
            self.mount.tainted = True
            self.mount.dispose()
            self.mount = None
        if not self.mount:
            self.mount = Mount().start()
        return self.mount


@pytest.fixture(scope="module")
def shared_mount():
    shared = _Shared()
    yield shared
    if shared.mount:
        shared.mount.dispose()


@pytest.fixture
def area(shared_mount):
    """A fresh folder in the module's mount. `area.mount` is the mount."""
    mount = shared_mount.get()
    shared_mount.count += 1
    folder = Folder(os.path.join(mount.dir, f"t{shared_mount.count}"))
    folder.mount = mount
    start = len(mount.log())
    os.mkdir(folder.dir)
    yield folder
    stuck = kill_strays({m.pid for m in Mount.active})
    if stuck:
        mount.tainted = True
        raise AssertionError(f"unkillable processes {stuck}\n{stacks(stuck)}")
    close_fds_below(folder.dir)
    mount.check_log(start)
    if not mount.tainted:
        assert mount.alive, "the daemon died"
        shutil.rmtree(folder.dir)
