"""What cannot start: a mount is refused, and one whose worker cannot come back ends, with one sentence
that names what is wrong. Nobody waits for ever, and when it is mended everything is there."""

import errno
import os
import resource
import shutil
import signal

import pytest

from kit import IPCFS, eventually, fork, raises, run
from kit.mount import BUILD, WRAP, mounted_at
from kit.proc import state_of
from kit.state import mount_file, new_mount_file, objects_folder
from test_restart import adopt, end

root_only = pytest.mark.skipif(os.getuid() != 0, reason="needs root")
USER, OTHER = 20077, 20078


def overwrite(path, offset, data):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


def replace_by(make):
    def damage(path):
        os.unlink(path)
        make(path)
    return damage


def in_mount_file(damage):
    return lambda state: damage(mount_file(state))


# What is done to a state directory, and what the sentence about it says: the path below it, a word.
DAMAGES = {
    "removed": (shutil.rmtree, "", "removed"),
    "removed and made again": (lambda s: (shutil.rmtree(s), os.mkdir(s, 0o700)), "", "removed"),
    "no mount file": (in_mount_file(os.unlink), "/mount", "missing"),
    "first bytes": (in_mount_file(lambda p: overwrite(p, 0, b"spoilt!")), "/mount", "damaged"),
    "cut to nothing": (in_mount_file(lambda p: os.truncate(p, 0)), "/mount", "damaged"),
    "cut short": (in_mount_file(lambda p: os.truncate(p, 4096)), "/mount", "damaged"),
    "another version": (in_mount_file(lambda p: overwrite(p, 8, b"\x63\0\0\0")), "/mount", "another version"),
    "a directory": (in_mount_file(replace_by(os.mkdir)), "/mount", "directory"),
    "a link": (in_mount_file(replace_by(lambda p: os.symlink("/etc/passwd", p))), "/mount", "symbolic link"),
    "no objects": (lambda s: shutil.rmtree(objects_folder(s)), "/objects", "missing"),
    "objects is a file": (lambda s: (shutil.rmtree(objects_folder(s)), open(objects_folder(s), "x").close()),
                          "/objects", "irectory"),
}
# What only makes an empty state directory is no damage to one who mounts.
REFUSED = [name for name in DAMAGES if not name.startswith("removed")]


@pytest.fixture
def filled(mount_with, tmp_path):
    """A mount with content on a state directory of its own, and a copy to restore that from."""
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    mount = mount_with(state=str(state))
    mount.make("q.queue").put(b"1\n2\n")
    mount.make("e.event")
    mount.saved = str(tmp_path / "saved")
    return mount


def restore(mount):
    shutil.rmtree(mount.state, ignore_errors=True)
    shutil.copytree(mount.saved, mount.state)
    os.chmod(mount.state, 0o700)


def as_user(mount):
    """The words that start ipcfs as a user, who may not be let into the folder of the build."""
    program = shutil.copy(IPCFS, mount.base)
    os.chown(mount.dir, USER, USER)
    return ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", *WRAP, program]


def refused(*options, program=(*WRAP, IPCFS)):
    """ipcfs must end by itself with one sentence, which is given."""
    done = run([*program, *options], timeout=30)
    assert done.code > 0, done
    assert done.err.count("\n") == 1, done
    return done.err


@pytest.mark.parametrize("damage", REFUSED)
def test_a_mount_is_refused(filled, damage):
    spoil, path, word = DAMAGES[damage]
    filled.unmount()
    shutil.copytree(filled.state, filled.saved)
    spoil(filled.state)
    names = sorted(os.listdir(filled.state))
    for option in ("-f", "-o"):
        text = refused("-f", "-o", f"state={filled.state}", filled.dir) if option == "-f" else \
            refused("-o", f"state={filled.state}", filled.dir)
        assert f"{filled.state}{path}: " in text and word in text
    assert sorted(os.listdir(filled.state)) == names, "and nothing is made"
    assert mounted_at(filled.dir) is None
    restore(filled)
    filled.start()
    assert filled.obj("q.queue").drain() == b"1\n2\n"


@pytest.mark.parametrize("what, word", [("file", "not a directory"), ("link", "symbolic link"), ("none/x", "cannot be created")])
def test_what_is_no_state_directory(mount_with, tmp_path, what, word):
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path)
    mount = mount_with(start=False)
    text = refused("-f", "-o", f"state={tmp_path}/{what}", mount.dir)
    assert f"{tmp_path}/{what}: " in text and word in text


@pytest.mark.parametrize("options, word", [
    ("bogus=1", "bogus=1"), ("objects=abc", "objects: "), ("memory=0", "memory: "), ("framing=x", "framing: ")])
def test_what_is_no_option(mount_with, options, word):
    mount = mount_with(start=False)
    assert word in refused("-f", "-o", f"state={mount.state},{options}", mount.dir)
    assert mounted_at(mount.dir) is None


def test_a_death_while_the_mount_file_is_made(mount_with):
    """What was left does not stop the next mount."""
    mount = mount_with(start=False)
    os.mkdir(objects_folder(mount.state), 0o700)
    with open(new_mount_file(mount.state), "w", encoding="ascii"):
        pass
    mount.start()
    mount.make("q.queue").put(b"x\n")
    assert mount.obj("q.queue").take() == b"x\n"


# --- the default folder ----------------------------------------------------------------------------

@root_only
@pytest.mark.parametrize("what, word", [("another's", f"uid {OTHER}"), ("open", "mode 755"), ("link", "symbolic link"),
                                        ("file", "not a directory")])
def test_the_default_folder_is_not_ours(mount_with, what, word):
    mount = mount_with(start=False, public=True)
    program = as_user(mount)
    folder = f"/dev/shm/ipcfs-{USER}"
    try:
        if what == "file":
            os.close(os.open(folder, os.O_CREAT | os.O_EXCL, 0o600))
        elif what == "link":
            os.symlink("/tmp", folder)
        else:
            os.mkdir(folder, 0o700)
            os.chmod(folder, 0o755 if what == "open" else 0o700)
        os.chown(folder, *[OTHER if what == "another's" else USER] * 2, follow_symlinks=False)
        text = refused("-f", mount.dir, program=program)
        assert f"{folder}: " in text and word in text and "state=" in text, "what, why and the cure"
        assert mount.dir not in text
    finally:
        os.rmdir(folder) if os.path.isdir(folder) and what != "link" else os.unlink(folder)


@root_only
@pytest.mark.skipif(not os.path.isdir("/etc/systemd"), reason="no /etc/systemd to mount over")
@pytest.mark.parametrize("setting", ["yes", "no"])
def test_a_state_that_ends_at_the_last_logout(mount_with, setting):
    """In a mount namespace that looks as if systemd-logind ran there."""
    mount = mount_with(start=False, public=True)
    script = """
        set -e
        mount -t tmpfs none /run; mount -t tmpfs none /etc/systemd
        mkdir -p /run/systemd/system /run/systemd/seats /etc/systemd/logind.conf.d
        mknod -m 666 /run/fuse c 10 229; mount --bind /run/fuse /dev/fuse
        (cat /etc/passwd; echo ada:x:$2:$2::/:/bin/sh) > /run/passwd; mount --bind /run/passwd /etc/passwd
        echo RemoveIPC=$1 > /etc/systemd/logind.conf.d/zz.conf
        shift 2
        "$@"
        fusermount3 -u "${!#}"
    """
    try:
        done = run(["unshare", "-m", "bash", "-c", script, "-", setting, str(USER), *as_user(mount), mount.dir])
        assert done.code == 0, done
        if setting == "no":
            assert done.err == ""
        else:
            line, = done.err.splitlines()
            assert f"/dev/shm/ipcfs-{USER}/" in line and "last logout" in line and "enable-linger" in line
    finally:
        shutil.rmtree(f"/dev/shm/ipcfs-{USER}", ignore_errors=True)


# --- one mount alone -------------------------------------------------------------------------------

def test_no_second_mount_however_the_files_change(mount_with, tmp_path):
    """The directory itself is what is locked: nothing that is removed from it lets another one in."""
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    first, second = mount_with(state=str(state)), mount_with(start=False, state=str(state))
    q = first.make("q.queue")
    for name in os.listdir(state):
        if str(state / name) not in (mount_file(state), objects_folder(state)):
            os.unlink(state / name)
    assert "in use" in refused("-f", "-o", f"state={state}", second.dir)
    os.rename(state, tmp_path / "moved")
    assert "in use" in refused("-f", "-o", f"state={tmp_path}/moved", second.dir)
    pid = first.worker()
    end(pid)
    eventually(lambda: first.worker() != pid)
    os.unlink(mount_file(tmp_path / "moved"))
    assert "in use" in refused("-f", "-o", f"state={tmp_path}/moved", second.dir)
    q.put(b"x\n")
    assert q.take() == b"x\n", "the first goes on"


# --- workers that cannot start ---------------------------------------------------------------------

def dead(mount, *words):
    """The supervisor has ended with exit status 1 and one sentence; callers get ENOTCONN."""
    log_before = mount.log()
    assert mount.await_exit(60) == 1
    sentences = [line for line in mount.log().splitlines() if "is mounted again" in line]
    assert len(sentences) == 1, mount.log()
    assert all(word in sentences[0] for word in words) and mount.dir in sentences[0], sentences
    for call in (lambda: os.listdir(mount.dir), lambda: mount.obj("q.queue").put(b"lost\n"),
                 lambda: os.stat(mount.path("e.event"))):
        with raises(errno.ENOTCONN, errno.ECONNABORTED):
            call()
    assert log_before in mount.log()


def waiting(mount):
    event = mount.obj("e.event")
    clients = [fork(event.get) for _ in range(2)]
    event.await_waiters(2)
    return clients


def start_again(mount):
    """On a mount point where a dead mount is."""
    mount.start()
    eventually(lambda: "removed the mount" in mount.log() and not run(["ls", mount.dir]).code)


def sent_away(clients):
    for client in clients:
        with raises(errno.ENOTCONN, errno.ECONNABORTED):
            client.result(60)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_worker_that_cannot_start(filled, damage):
    spoil, path, word = DAMAGES[damage]
    clients = waiting(filled)
    shutil.copytree(filled.state, filled.saved)
    pid = filled.worker()
    spoil(filled.state)
    os.kill(pid, signal.SIGKILL)
    sent_away(clients)
    dead(filled, f"{filled.state}{path}: ", word)
    restore(filled)
    if damage == "first bytes":
        assert run(["fusermount3", "-u", filled.dir]).code == 0, "it is not busy"
        filled.start()
    else:
        start_again(filled)
    assert filled.obj("q.queue").drain() == b"1\n2\n"
    filled.unmount()
    assert mounted_at(filled.dir) is None, "nothing is left below"


@pytest.fixture
def on_tmpfs(mount_with, tmp_path):
    """A mount whose state directory is on a file system of its own."""
    disk = str(tmp_path / "disk")
    os.mkdir(disk)
    assert run(["mount", "-t", "tmpfs", "none", disk]).code == 0
    mount = mount_with(state=f"{disk}/state")
    mount.make("q.queue").put(b"1\n")
    mount.make("e.event")
    mount.disk = disk
    yield mount
    mount.dispose()
    run(["umount", "-l", disk])


@root_only
def test_a_file_system_that_became_read_only(on_tmpfs):
    mount = on_tmpfs
    clients = waiting(mount)
    pid = mount.worker()
    os.kill(mount.pid, signal.SIGSTOP)       # no other worker yet, which would keep it writable
    end(pid)
    assert run(["mount", "-o", "remount,ro", mount.disk]).code == 0
    os.kill(mount.pid, signal.SIGCONT)
    sent_away(clients)
    dead(mount, f"{mount.state}/mount: ", "Read-only file system")
    text = refused("-f", "-o", f"state={mount.state}", mount.dir)
    assert "Read-only file system" in text
    assert mounted_at(mount.dir), "the dead mount stays, and keeps writers from the folder below"
    assert run(["mount", "-o", "remount,rw", mount.disk]).code == 0
    start_again(mount)
    assert mount.obj("q.queue").take() == b"1\n"


@root_only
def test_a_file_system_that_has_no_name_any_more(on_tmpfs):
    """Unmounted lazily it is there for those who have it: workers and supervisors go on."""
    mount = on_tmpfs
    clients = waiting(mount)
    assert run(["umount", "-l", mount.disk]).code == 0
    for pid in (mount.worker(), mount.pid):
        end(pid)
        if pid == mount.pid:
            adopt(mount)
        eventually(lambda: len(mount.obj("e.event").waiters()) == 2)
    mount.obj("e.event").put(b"1\n")
    assert [client.result() for client in clients] == [b"1\n"] * 2
    assert mount.obj("q.queue").take() == b"1\n"


def test_a_state_directory_that_goes_after_the_supervisor(filled):
    """A new supervisor, which the worker starts, finds no directory: it is handed over, not looked for."""
    clients = waiting(filled)
    shutil.copytree(filled.state, filled.saved)
    shutil.rmtree(filled.state)
    end(filled.pid)
    adopt(filled)
    eventually(lambda: "supervises worker" in filled.log())
    assert not os.path.exists(filled.state), "nor is another one made"
    assert filled.obj("e.event").size == 0, "the worker serves on"
    os.kill(filled.worker(), signal.SIGKILL)
    sent_away(clients)
    dead(filled, filled.state, "removed")
    restore(filled)
    start_again(filled)
    assert filled.obj("q.queue").drain() == b"1\n2\n"


def test_an_upgrade_that_finds_no_state(filled):
    """The worker that runs is not ended for one that could not start."""
    pid = filled.worker()
    os.rename(mount_file(filled.state), filled.saved)
    os.kill(filled.pid, signal.SIGHUP)
    eventually(lambda: "keeps running" in filled.log() and "supervises worker" in filled.log())
    assert filled.worker() == pid
    assert filled.obj("q.queue").take() == b"1\n"
    os.rename(filled.saved, mount_file(filled.state))
    os.kill(filled.pid, signal.SIGHUP)
    eventually(lambda: filled.worker() != pid)
    assert filled.obj("q.queue").take() == b"2\n"


def test_a_shortage_is_waited_for(request, monkeypatch):
    """Too many open files, for example: that may end, so nothing is given up at once."""
    # A leak checker that can open no file either does not let the worker end.
    monkeypatch.setenv("ASAN_OPTIONS", os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0")
    filled = request.getfixturevalue("filled")
    clients = waiting(filled)
    limits = resource.prlimit(filled.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(filled.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
    os.kill(filled.worker(), signal.SIGKILL)
    eventually(lambda: "Too many open files" in filled.log(), 30)
    assert state_of(filled.pid) not in (None, "Z")
    resource.prlimit(filled.pid, resource.RLIMIT_NOFILE, limits)
    filled.obj("e.event").put(b"1\n")
    assert [client.result(60) for client in clients] == [b"1\n"] * 2


# --- workers that die of what they find --------------------------------------------------------------

@pytest.fixture
def mortal(mount_with, tmp_path, monkeypatch):
    """A mount whose workers die while the file `deadly` is there: tests/lib/die.c."""
    asan = os.environ.get("ASAN_OPTIONS", "")
    monkeypatch.setenv("LD_PRELOAD", os.path.abspath(os.path.join(BUILD, "tests", "lib", "die.so")))
    monkeypatch.setenv("IPCFS_DIE", str(tmp_path / "deadly"))
    monkeypatch.setenv("ASAN_OPTIONS", f"{asan}:verify_asan_link_order=0:handle_segv=0")
    mount = mount_with()
    for name in ("LD_PRELOAD", "IPCFS_DIE"):
        monkeypatch.delenv(name)
    mount.deadly = tmp_path / "deadly"
    mount.make("q.queue").put(b"1\n")
    mount.make("e.event")
    return mount


def back_to_life(mount):
    dead(mount, "signal 11", "10 in a row")
    os.truncate(mount.log_path, 0)           # or its end would be suspicious
    mount.deadly.unlink()
    start_again(mount)


def test_workers_that_die_at_their_start(mortal):
    clients = waiting(mortal)
    mortal.deadly.write_text("")
    os.kill(mortal.worker(), signal.SIGKILL)
    sent_away(clients)
    back_to_life(mortal)
    assert mortal.obj("q.queue").take() == b"1\n"


def test_workers_that_die_of_one_request(mortal):
    """It comes again to each of them, before all that is new."""
    clients = waiting(mortal)
    mortal.deadly.write_text("poison")
    poisoned = fork(mortal.obj("q.queue").put, b"poison\n")
    sent_away(clients + [poisoned])
    back_to_life(mortal)
    assert mortal.obj("q.queue").drain() in (b"1\n", b"1\npoison\n")


def test_a_few_deaths_are_nothing(mortal):
    mortal.deadly.write_text("poison")
    poisoned = fork(mortal.obj("q.queue").put, b"poison\n")
    eventually(lambda: mortal.log().count("signal 11") >= 3, 30)
    mortal.deadly.unlink()
    assert poisoned.result(60) == 7
    assert mortal.obj("q.queue").drain() == b"1\npoison\n"
    os.truncate(mortal.log_path, 0)
