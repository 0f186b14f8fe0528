"""Programs that know nothing of ipcfs, in many languages."""

import json
import os
import shutil
import sys

import pytest

from kit import eventually, fork, run, sh, spawn, unchanged

SHELLS = ["bash", "dash", "busybox sh"]
AWKS = ["mawk", "gawk", "busybox awk"]


def needs(*programs):
    missing = [p for p in programs if not shutil.which(p)]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {missing}")


@pytest.fixture
def q(area):
    return area.make("q.queue")


# --- shells ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("shell", SHELLS)
def test_shell_puts_and_gets(area, q, shell):
    script = """
        echo "resize cat.jpg" > q.queue
        printf '%s\\n' "with  spaces" 'back\\slash' >> q.queue
        read -r a < q.queue; read -r b < q.queue; IFS= read -r c < q.queue
        echo "$a|$b|$c"
    """
    assert sh(script, cwd=area.dir, shell=shell).out == "resize cat.jpg|with  spaces|back\\slash\n"
    assert q.size == 0


@pytest.mark.parametrize("shell", SHELLS)
def test_shell_events_and_semaphores(area, shell):
    script = """
        : > ready.event; : > slots.sem
        echo 2 > slots.sem
        (cat ready.event > /dev/null; read -r x < slots.sem; echo "got $x") &
        echo set > ready.event
        wait
        stat -c %s slots.sem ready.event
    """
    assert sh(script, cwd=area.dir, shell=shell).out == "got 1\n1\n1\n"


@pytest.mark.parametrize("shell", SHELLS)
def test_shell_workers_share_a_queue(area, q, shell, tmp_path):
    worker = 'while read -r n; do echo "$n" >> "$OUT"; done < q.queue'
    workers = [fork(lambda i=i: sh(worker, cwd=area.dir, shell=shell, env={"OUT": f"{tmp_path}/{i}"}).code)
               for i in range(3)]
    # busybox's read polls first, so its worker is no waiter of the queue yet: it has it open.
    eventually(lambda: q.status()["handles"] == "3")
    sh("seq 300 > q.queue; echo 1 > q.queue.ctl/closed", cwd=area.dir, shell=shell)
    assert [w.result() for w in workers] == [0, 0, 0]
    lines = [int(l) for p in tmp_path.iterdir() for l in p.read_text().split()]
    assert sorted(lines) == list(range(1, 301))


@pytest.mark.parametrize("shell", SHELLS)
def test_shell_sees_the_errors(area, q, shell):
    sh("echo 1 > q.queue.ctl/closed", cwd=area.dir, shell=shell)
    done = sh("echo x > q.queue", cwd=area.dir, shell=shell, code=None)
    assert done.code != 0 and done.err
    done = sh("echo x > plain", cwd=area.dir, shell=shell, code=None)
    assert done.code != 0 and "nvalid argument" in done.err
    assert os.listdir(area.dir) == ["q.queue"]


def test_bash_mapfile_and_process_substitution(area, q):
    script = """
        seq 5 > q.queue; echo 1 > q.queue.ctl/closed
        mapfile -t a < q.queue; echo "${#a[@]} ${a[4]}"
        echo 0 > q.queue.ctl/closed
        seq 3 | tee >(cat > q.queue) > /dev/null; wait $!
    """
    assert sh(script, cwd=area.dir).out == "5 5\n"
    eventually(lambda: q.messages() == [b"1", b"2", b"3"])


# --- coreutils and friends ---------------------------------------------------------------------------

@pytest.mark.parametrize("reader", [
    "cat q.queue", "cat < q.queue", "head -n 3 q.queue", "sed -n 1,3p q.queue", "tail -n +1 q.queue",
    "dd if=q.queue status=none",
    "sort -n q.queue", "grep . q.queue", "cut -d: -f1 q.queue", "tr a a < q.queue",
    "nl -ba -w1 q.queue | cut -f2",
    "xargs -n1 < q.queue", "busybox cat q.queue", "perl -ne print q.queue", "tee < q.queue", "paste -s -d'\\n' q.queue",
    "cp q.queue /dev/stdout", "split --filter=cat q.queue", "uniq q.queue"])
def test_readers_to_the_end(area, q, reader):
    sh("seq 3 > q.queue; echo 1 > q.queue.ctl/closed", cwd=area.dir)
    assert sh(reader, cwd=area.dir).out == "1\n2\n3\n"
    assert q.size == 0


@pytest.mark.parametrize("awk", AWKS)
def test_awk(area, q, awk):
    sh("seq 10 > q.queue; echo 1 > q.queue.ctl/closed", cwd=area.dir)
    assert sh(awk + " '{ s += $1 } END { print s, NR }' q.queue", cwd=area.dir).out == "55 10\n"


def test_awk_getline_and_print(area, q):
    script = """mawk 'BEGIN { print "a b" > "q.queue"; close("q.queue"); system("echo 1 > q.queue.ctl/closed")
                        getline x < "q.queue"; print "[" x "]" }'"""
    assert sh(script, cwd=area.dir).out == "[a b]\n"


@pytest.mark.parametrize("writer", [
    "seq 3 > q.queue", "seq 3 >> q.queue", "seq 3 | tee q.queue > /dev/null", "seq 3 | tee -a q.queue > /dev/null",
    "seq 3 | dd of=q.queue status=none", "seq 3 | dd of=q.queue oflag=append conv=notrunc status=none",
    "printf '1\\n2\\n3\\n' | busybox tee q.queue > /dev/null", 
    "seq 3 | perl -ne 'print' > q.queue", "seq 3 > $OUT/f; cat $OUT/f > q.queue", "seq 3 > $OUT/f; cp $OUT/f q.queue",
    "mawk 'BEGIN { for (i = 1; i < 4; i++) print i > \"q.queue\" }'", "seq 3 | split -n r/1 --filter='cat > q.queue'",
    "seq 3 | xargs -n1 -I@ sh -c 'echo @ > q.queue'", "seq 3 | sed -n 'w q.queue'"])
def test_writers(area, q, writer, tmp_path):
    sh(writer, cwd=area.dir, env={"OUT": str(tmp_path)})
    assert q.messages() == [b"1", b"2", b"3"]


def test_wc_counts(area, q):
    sh("seq 100 > q.queue; echo 1 > q.queue.ctl/closed", cwd=area.dir)
    assert sh("wc -l < q.queue", cwd=area.dir).out == "100\n"


def test_find_and_ls(area, q):
    q.put(b"1\n2\n")
    assert "2" in sh("ls -l q.queue", cwd=area.dir).out.split()
    assert sh("find . -type f -printf '%f %s\\n'", cwd=area.dir).out == "q.queue 2\n"
    assert sh("stat q.queue && test -s q.queue && du q.queue", cwd=area.dir).out
    assert q.size == 2


@needs("xargs")
def test_xargs_workers(area, q, tmp_path):
    """xargs -P as a pool that takes its work from a queue."""
    sh("seq 40 > q.queue; echo 1 > q.queue.ctl/closed", cwd=area.dir)
    sh(f"xargs -n1 -P4 sh -c 'echo $0 >> {tmp_path}/out' < q.queue", cwd=area.dir)
    assert sorted(map(int, (tmp_path / "out").read_text().split())) == list(range(1, 41))


@needs("parallel")
def test_gnu_parallel(area, q):
    sh("seq 20 > q.queue; echo 1 > q.queue.ctl/closed", cwd=area.dir)
    done = sh("cat q.queue | parallel --will-cite -j2 echo got", cwd=area.dir, timeout=60,
              env={"HOME": "/tmp", "PARALLEL_HOME": area.mount.base})
    assert sorted(done.out.splitlines()) == sorted(f"got {i}" for i in range(1, 21))


@needs("parallel")
def test_gnu_parallel_jobs_put(area, q):
    sh("parallel --will-cite -j4 'echo {} > q.queue' ::: $(seq 20)", cwd=area.dir, timeout=60,
       env={"HOME": "/tmp", "PARALLEL_HOME": area.mount.base})
    assert sorted(map(int, q.messages())) == list(range(1, 21))


@needs("flock")
def test_flock_limits_jobs(area, tmp_path):
    sh(": > s.sem; echo 2 > s.sem", cwd=area.dir)
    job = f"echo x >> {tmp_path}/now; n=$(ls {tmp_path}/run* 2>/dev/null | wc -l); echo $n >> {tmp_path}/seen"
    script = f"flock s.sem sh -c 'touch {tmp_path}/run$$; {job}; rm {tmp_path}/run$$'"
    programs = [spawn(["bash", "-c", script], cwd=area.dir) for _ in range(6)]
    assert [p.finish().code for p in programs] == [0] * 6
    seen = [int(n) for n in (tmp_path / "seen").read_text().split()]
    assert len(seen) == 6 and max(seen) <= 2
    assert area.obj("s.sem").size == 2


@needs("timeout")
def test_timeout(area, q):
    assert sh("timeout 0.1 cat q.queue; echo $?; timeout -s KILL 0.1 cat q.queue; echo $?", cwd=area.dir).out \
        == "124\n137\n"
    q.await_waiters(0)


# --- trees -------------------------------------------------------------------------------------------

@needs("tar", "rsync")
@pytest.mark.parametrize("command,back", [
    ("tar cf $OUT/t.tar .; mkdir $OUT/c; tar xf $OUT/t.tar -C $OUT/c", True),
    ("cp -r . $OUT/c", True), ("cp -a . $OUT/c", True), ("rsync -a ./ $OUT/c/", False)])
def test_copies_of_a_tree(area, tmp_path, command, back):
    os.makedirs(area.path("a/b"))
    objects = [area.make(n) for n in ("q.queue", "a/e.event", "a/b/s.sem", "a/empty.queue")]
    objects[0].put(b"one\ntwo\n")
    objects[1].put(b"1\n")
    with unchanged(*objects):
        sh(command, cwd=area.dir, env={"OUT": str(tmp_path)}, timeout=20, code=None)
    names = {str(p.relative_to(tmp_path / "c")) for p in (tmp_path / "c").rglob("*") if p.is_file()}
    if back:
        assert names >= {"q.queue", "a/e.event", "a/b/s.sem", "a/empty.queue"}


def test_grep_r_of_the_whole_mount(mount):
    objects = [mount.make(f"{i}.queue") for i in range(10)] + [mount.make("e.event"), mount.make("s.sem")]
    for obj in objects[:10]:
        obj.put(b"needle\n")
    with unchanged(*objects):
        done = run(["grep", "-r", "needle", mount.dir], timeout=20)
    assert len(done.out.splitlines()) == 10


# --- languages ---------------------------------------------------------------------------------------

PYTHON = """
import sys, select, fcntl, os
with open('q.queue', 'w') as q:
    q.write('from python\\n')
with open('q.queue') as q:
    print(q.readline().rstrip())
with open('q.queue', 'r+b', buffering=0) as q:
    q.write(b'raw\\n'); print(q.read(100))
with open('s.sem') as s:
    fcntl.flock(s, fcntl.LOCK_EX)
    print(open('s.sem.ctl/value').read().strip())
open('s.sem.ctl/bound', 'w').write('1\\n')
try:
    with open('s.sem', 'w') as s: s.write('1')
except OSError as error:
    print(error.strerror)
"""

PERL = """
open my $w, '>', 'q.queue' or die $!; print $w "from perl\\n"; close $w or die $!;
open my $r, '<', 'q.queue' or die $!; my $line = <$r>; print $line; close $r;
use Fcntl ':flock'; open my $s, '<', 's.sem' or die $!; flock $s, LOCK_EX or die $!;
print +(stat 's.sem')[7], "\\n"; close $s; print +(stat 's.sem')[7], "\\n";
open $w, '>', 's.sem'; syswrite($w, "nonsense") or print "$!\\n";
"""

NODE = """
const fs = require('fs');
fs.writeFileSync('q.queue', 'from node\\n');
const fd = fs.openSync('q.queue', 'r');
const b = Buffer.alloc(100);
console.log(b.toString('utf8', 0, fs.readSync(fd, b, 0, 100, null)).trim());
fs.appendFileSync('q.queue', 'a\\nb\\n');
fs.writeFileSync('q.queue.ctl/closed', '1');
const f2 = fs.openSync('q.queue', 'r');  // readFileSync would read st_size bytes
let all = '', n;
while ((n = fs.readSync(f2, b, 0, 100, null)) > 0) all += b.toString('utf8', 0, n);
console.log(JSON.stringify(all));
try { fs.writeFileSync('q.queue', 'x\\n') } catch (e) { console.log(e.code) }
fs.promises.readFile('e.event', 'utf8').then(x => console.log('event', x.trim()));
fs.promises.writeFile('e.event', 'set');
"""


def test_python(area, q):
    area.sem("s.sem", 1)
    done = run([sys.executable, "-c", PYTHON], cwd=area.dir)
    assert (done.out, done.code) == ("from python\nb'raw\\n'\n0\nNumerical result out of range\n", 0), done.err


def test_python_iterates(area, q):
    sh("seq 1000 > q.queue; echo 1 > q.queue.ctl/closed", cwd=area.dir)
    script = "print(sum(int(line) for line in open('q.queue')))"
    assert run([sys.executable, "-c", script], cwd=area.dir).out == "500500\n"


def test_python_selectors_and_asyncio(area, q):
    script = """
import asyncio, os
async def main():
    loop, got = asyncio.get_running_loop(), asyncio.Event()
    fd = os.open('q.queue', os.O_RDONLY | os.O_NONBLOCK)
    loop.add_reader(fd, lambda: (print(os.read(fd, 100)), got.set(), loop.remove_reader(fd)))
    await asyncio.sleep(0)
    open('q.queue', 'w').write('woken\\n')
    await asyncio.wait_for(got.wait(), 20)
asyncio.run(main())
"""
    assert run([sys.executable, "-c", script], cwd=area.dir).out == "b'woken\\n'\n"


@needs("perl")
def test_perl(area, q):
    area.sem("s.sem", 1)
    done = run(["perl", "-e", PERL], cwd=area.dir)
    assert (done.out, done.code) == ("from perl\n0\n1\nInvalid argument\n", 0), done.err


@needs("node")
def test_node(area, q):
    area.make("e.event")
    done = run(["node", "-e", NODE], cwd=area.dir)
    assert (done.out, done.code) == ('from node\n"a\\nb\\n"\nEPIPE\nevent 1\n', 0), done.err


@needs("node")
def test_node_streams(area, q):
    script = "require('fs').createReadStream('q.queue').on('data', d => process.stdout.write(d))"
    sh("seq 2000 > q.queue; echo 1 > q.queue.ctl/closed", cwd=area.dir)
    assert run(["node", "-e", script], cwd=area.dir).out == "".join(f"{i}\n" for i in range(1, 2001))


@needs("perl", "node")
def test_workers_in_four_languages(area, q, tmp_path):
    """One queue, four workers, every job once."""
    programs = {
        "bash": ["bash", "-c", 'while read -r j; do echo "$j"; done < q.queue'],
        "python": [sys.executable, "-uc", "for j in open('q.queue', buffering=1): print(j, end='')"],
        "perl": ["perl", "-e", "$|=1; open Q, '<', 'q.queue'; print while <Q>"],
        "node": ["node", "-e", "require('readline').createInterface({input: require('fs').createReadStream('q.queue')})"
                 ".on('line', l => console.log(l))"],
    }
    workers = {name: spawn(argv, cwd=area.dir) for name, argv in programs.items()}
    q.await_waiters(4, 20)
    for i in range(200):
        q.put(b"job %d\n" % i)
    q.close()
    lines = []
    for name, worker in workers.items():
        done = worker.finish()
        assert done.code == 0, (name, done)
        lines += done.out.splitlines()
    assert sorted(lines) == sorted(f"job {i}" for i in range(200))


@needs("jq")
def test_json_lines(area, q):
    sh("""jq -cn '{a: 1}, {a: [2, "x y"]}' > q.queue; echo 1 > q.queue.ctl/closed""", cwd=area.dir)
    assert [json.loads(l) for l in sh("jq -c .a q.queue", cwd=area.dir).out.splitlines()] == [1, [2, "x y"]]
