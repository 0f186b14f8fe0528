"""Who works with the engine file directly, and that all others get the same through files."""

import errno
import os
import shutil

import pytest

from kit import BUILD, Folder, Mount, eventually, fork, raises, run, spawn
from kit.state import data_file, engine_file, objects_folder

LIB = os.path.join(BUILD, "tests", "lib", "lib")
pytestmark = [pytest.mark.skipif(os.getuid() != 0, reason="needs root to become others"),
              pytest.mark.skipif(not os.access(LIB, os.X_OK), reason="no libipcfs in this build")]
ALICE = 20001


@pytest.fixture(scope="module")
def public():
    mount = Mount(public=True, allow_other=True).start()
    os.chmod(mount.dir, 0o777)
    yield mount
    mount.dispose()


@pytest.fixture(autouse=True)
def no_leaks_of_clients(monkeypatch):
    monkeypatch.setenv("ASAN_OPTIONS", "detect_leaks=0")


@pytest.fixture
def area(public, request):
    folder = Folder(public.path(f"d{abs(hash(request.node.nodeid))}"))
    os.mkdir(folder.dir)
    os.chmod(folder.dir, 0o777)
    return folder


def words(out):
    return out.splitlines()


def how(obj, mode, before=()):
    done = run([*before, LIB, "-how", obj.path, str(mode)])
    return words(done.out) if done.code == 0 else done.err.strip().rpartition(": ")[2]


AS_ALICE = ["setpriv", f"--reuid={ALICE}", f"--regid={ALICE}", "--clear-groups"]
FULL = {os.O_RDONLY: ["put Bad file descriptor", "get kept"],
        os.O_WRONLY: ["put ok", "get Bad file descriptor"],
        os.O_RDWR: ["put ok", "get kept"]}


@pytest.mark.parametrize("mode", FULL)
def test_the_mounts_own_user_works_directly_with_the_same_results(area, mode):
    for name, before in (("a.queue", []), ("b.queue", ["env", "IPCFS_NO_DIRECT=1"])):
        q = area.make(name)
        q.put(b"kept\n")
        answer = how(q, mode, before)
        assert answer == ["files" if before else "direct", *FULL[mode]]


@pytest.mark.parametrize("bits,may", [(0o666, "rw"), (0o644, "r"), (0o622, "w"), (0o600, "")])
def test_others_get_in_as_the_mode_says(area, bits, may):
    """The state directory is closed to them, so they go through files; with the same results."""
    q = area.make("q.queue")
    q.put(b"kept\n")
    os.chmod(q.path, bits)
    for mode, need in ((os.O_RDONLY, "r"), (os.O_WRONLY, "w"), (os.O_RDWR, "rw")):
        answer = how(q, mode, AS_ALICE)
        if not set(need) <= set(may):
            assert answer == "Permission denied"
            continue
        assert answer[0] == "files" and answer[1:] == FULL[mode]
        if "w" in need:
            q.put(b"kept\n")
            while q.number("size") > 1:
                q.take()
        else:
            q.put(b"kept\n")


@pytest.mark.parametrize("bits,engine", [(0o666, 0o666), (0o644, 0o600), (0o660, 0o660), (0o600, 0o600),
                                         (0o646, 0o606)])
def test_the_engine_file_lets_in_who_may_read_and_write(area, bits, engine):
    """Should the state directory ever be reached in another way."""
    for name in ("q.queue", "a.array"):
        obj = area.make(name)
        os.chmod(obj.path, bits)
        path = os.readlink(obj.ctl_path("shm"))
        assert os.stat(path).st_mode & 0o777 & ~0o600 == engine & ~0o600
        if name == "a.array":
            assert os.stat(data_file(path)).st_mode & 0o777 & ~0o600 == engine & ~0o600
        os.chown(obj.path, ALICE, ALICE)
        assert os.stat(path).st_uid == ALICE

        def reach():
            os.close(os.open(path, os.O_RDWR))

        with raises(errno.EACCES):
            fork(reach, uid=ALICE + 1).result()


def test_who_may_not_read_it_does_not_learn_where_its_memory_is(area):
    q = area.make("q.queue")
    os.chmod(q.path, 0o600)
    with raises(errno.EACCES, errno.EPERM):
        fork(lambda: os.readlink(q.ctl_path("shm")), uid=ALICE).result()


@pytest.mark.parametrize("space", [["--pid", "--fork", "--mount-proc"], ["--mount"],
                                   ["--pid", "--fork"], ["--user", "--map-root-user"]],
                         ids=lambda s: s[0])
def test_other_namespaces(area, space):
    """In another pid namespace thread ids mean something else: files. In all, the same results."""
    unshare = ["unshare", *space]
    if run([*unshare, "true"]).code:
        pytest.skip("not possible here")
    q = area.make("q.queue")
    q.put(b"kept\n")
    answer = how(q, os.O_RDWR, unshare)
    assert answer[1:] == FULL[os.O_RDWR]
    if "--pid" in space:
        assert answer[0] == "files"
    # and one in there wakes one out here, and the other way round
    out = spawn([LIB, "-get", q.path, "2"])
    eventually(lambda: not q.messages(), 10, "it has the first")
    q.await_waiters(1)
    assert run([*unshare, LIB, "-put", q.path, "in"]).code == 0
    assert out.finish().out == "said\nin\n"


def test_another_file_system_at_the_same_place(area, tmp_path):
    """A mount namespace in which the state directory's path leads to other files."""
    q = area.make("q.queue")
    q.put(b"kept\n")
    path = os.readlink(q.ctl_path("shm"))
    folder = os.path.dirname(os.path.dirname(path))
    os.mkdir(objects_folder(tmp_path))
    shutil.copyfile(path, engine_file(tmp_path, os.path.basename(path)))
    script = f'mount --bind {tmp_path} {folder} && exec "$0" -how {q.path} 2'
    done = run(["unshare", "--mount", "sh", "-c", script, LIB])
    if "mount" in done.err:
        pytest.skip("not possible here")
    assert words(done.out) == ["files", "put ok", "get kept"], done


def test_a_user_with_a_mount_of_their_own(mount_with, tmp_path):
    """Not root: direct as well, and nothing more of it for others."""
    os.chmod(tmp_path, 0o777)
    script = (f"mkdir -m 700 {tmp_path}/state && mkdir {tmp_path}/mnt && "
              f"{BUILD}/fs/ipcfs -o state={tmp_path}/state {tmp_path}/mnt && "
              f"touch {tmp_path}/mnt/q.queue && {LIB} -how {tmp_path}/mnt/q.queue 2; "
              f"fusermount3 -u {tmp_path}/mnt")
    for folder in tmp_path.parents:
        if not os.stat(folder).st_mode & 1:
            os.chmod(folder, os.stat(folder).st_mode | 0o11)
    done = run([*AS_ALICE, "sh", "-c", script])
    if "fusermount3" in done.err:
        pytest.skip(f"not possible here: {done.err}")
    assert words(done.out) == ["direct", "put ok", "get said"], done
