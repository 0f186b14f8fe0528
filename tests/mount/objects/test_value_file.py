"""A value is a plain, seekable file: everyone's first program works in every language."""

import errno
import fcntl
import os
import shutil
import signal

import pytest

from kit import fork, raises, run, sh, unchanged

RDWR = os.O_RDWR


@pytest.fixture
def value(area):
    v = area.make("n.value")
    v.put(b"hello")
    return v


def test_it_has_an_end(value):
    fd = value.open(RDWR)
    assert [os.read(fd, 3) for _ in range(4)] == [b"hel", b"lo\n", b"", b""]
    assert os.pread(fd, 100, 2) == b"llo\n"
    assert os.pread(fd, 100, 6) == os.pread(fd, 100, 1000) == b""
    os.lseek(fd, 0, os.SEEK_SET)
    value.put(b"other")
    assert os.read(fd, 100) == b"other\n"


def test_a_first_read_behind_the_start(value):
    assert os.pread(value.open(RDWR), 100, 3) == b"lo\n"
    assert os.pread(value.open(), 2, 1) == b"el"


def test_a_text_that_is_being_read_stays_whole(value):
    fd = value.open(RDWR)
    assert os.read(fd, 2) == b"he"
    value.put(b"HELLO")
    assert os.read(fd, 100) == b"llo\n"


def test_a_write_at_any_position_is_one_command(value):
    fd = value.open(RDWR)
    assert os.pwrite(fd, b"12", 1000) == 2
    assert os.pread(fd, 100, 1002) == b"12\n", "what it made is where it left the position"
    assert os.pread(fd, 100, 0) == b"12\n"
    os.lseek(fd, 3, os.SEEK_SET)
    os.write(fd, b"+=3")
    assert os.lseek(fd, 0, os.SEEK_CUR) == 6
    assert os.read(fd, 1) + os.read(fd, 10) + os.read(fd, 10) == b"15\n"
    with raises(errno.EINVAL):
        os.write(fd, b"+=x")
    assert value.raw("status") and os.pread(fd, 10, 0) == b"15\n"


def test_a_read_at_0_gives_the_current_text_whatever_it_wrote_before(value):
    fd = value.open(RDWR)
    os.write(fd, b"mine")
    value.put(b"theirs")
    assert os.pread(fd, 100, 0) == b"theirs\n"


def test_ftruncate_is_accepted_and_changes_nothing(value):
    fd = value.open(RDWR)
    with unchanged(value):
        for length in 0, 3, 5, 100:
            os.ftruncate(fd, length)
    with raises(errno.EINVAL):
        os.truncate(value.path, 0)
    assert os.fstat(fd).st_size == 5


def test_appending_handles(value):
    fd = value.open(os.O_RDWR | os.O_APPEND)
    os.write(fd, b"7")
    assert os.pread(fd, 10, 0) == b"7\n"


def test_tickets_in_a_shell(area):
    area.make("n.value")
    done = sh("exec 9<> n.value; for i in 1 2 3; do echo +=1 >&9; read -r t <&9; echo $t; done; "
              "echo +=1 > n.value; echo +=1 >&9; read -r t <&9; echo $t", cwd=area.dir)
    assert done.out.split() == ["1", "2", "3", "5"]


def test_tickets_are_each_drawn_once(area):
    v = area.make("n.value")

    def draw():
        fd = os.open(v.path, RDWR)
        got = []
        for _ in range(200):
            os.write(fd, b"+=1")
            got.append(int(os.read(fd, 30)))
        return got

    drawn = [n for child in [fork(draw) for _ in range(4)] for n in child.result()]
    assert sorted(drawn) == list(range(1, 801))


def test_a_restart_keeps_the_ticket(mount):
    v = mount.make("n.value")
    fd = v.open(RDWR)
    os.write(fd, b"+=5")
    v.put(b"+=1")
    os.kill(mount.worker(), signal.SIGKILL)
    assert os.read(fd, 10) == b"5\n"
    assert os.pread(fd, 10, 0) == b"6\n"


PROGRAMS = {    # open r+, flock, read, add one, seek to 0, write, truncate
    "python3": ["/usr/bin/python3", "-c", """
import fcntl, sys
with open(sys.argv[1], "r+") as f:
    fcntl.flock(f, fcntl.LOCK_EX)
    n = int(f.read())
    f.seek(0)
    f.write(str(n + 1))
    f.truncate()
"""],
    "perl": ["perl", "-e", """
use Fcntl ":flock";
open(my $f, "+<", $ARGV[0]) or die $!;
flock($f, LOCK_EX) or die $!;
my $n = join "", <$f>;
seek($f, 0, 0);
print $f $n + 1;
truncate($f, tell($f)) or die $!;
close $f or die $!;
"""],
    "node": ["node", "-e", """
const fs = require("fs"), f = fs.openSync(process.argv[1], "r+");
const n = Number(fs.readFileSync(f, "utf8"));
fs.writeSync(f, String(n + 1), 0);
fs.ftruncateSync(f, String(n + 1).length);
fs.closeSync(f);
"""],
    "tcl": ["tclsh", "PROGRAM"],
    "ruby": ["ruby", "-e", """
File.open(ARGV[0], "r+") { |f|
  f.flock(File::LOCK_EX); n = f.read.to_i
  f.seek(0); f.write(n + 1); f.flush; f.truncate(f.pos) }
"""],
    "php": ["php", "-r", """
$f = fopen($argv[1], "r+"); flock($f, LOCK_EX);
$n = (int)stream_get_contents($f); rewind($f);
fwrite($f, $n + 1); ftruncate($f, ftell($f)); fclose($f);
"""],
    "lua": ["lua5.4", "-e", """
local f = io.open(arg[1], "r+"); local n = f:read("n")
f:seek("set", 0); f:write(math.floor(n) + 1); f:close()
""", "/dev/null"],
    "bash": ["bash", "-c", """
exec 9<> "$0"; flock 9; read -r n <&9; exec 8> "$0"; echo $((n + 1)) >&8
"""],
}

TCL = """
set f [open [lindex $argv 0] r+]
set n [read $f]
seek $f 0
puts -nonewline $f [expr {$n + 1}]
close $f
"""


@pytest.mark.parametrize("language", PROGRAMS)
def test_read_add_write_back(area, tmp_path, language):
    argv = list(PROGRAMS[language])
    if not shutil.which(argv[0]):
        pytest.skip(f"no {argv[0]} here")
    (tmp_path / "program").write_text(TCL)
    argv = [str(tmp_path / "program") if word == "PROGRAM" else word for word in argv]
    v = area.make("n.value")
    v.put(b"41")
    done = run(argv + [v.path])
    assert done.code == 0, done
    assert v.raw("status") and open(v.path, encoding="ascii").read() == "42\n"
    assert v.holders() == []


def test_flock_and_files_agree(value):
    fd = value.open(RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)
    assert len(value.holders()) == 1
    assert os.read(fd, 10) == b"hello\n"
