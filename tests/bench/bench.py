# SPDX-License-Identifier: MIT
"""The rounds: in each, every peer of every workload is measured once, so that the noise of the
machine hits all alike; what counts is the median of the rounds. Started by tests/bench/run.
"""
import argparse
import datetime
import json
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import time

import places
import report
import workloads
from places import ClientTimeout, Failed, Proc

HERE = os.path.dirname(os.path.abspath(__file__))


class NotPossible(Exception):
    """A peer cannot do it on this machine: no result, and no failure."""


class Bench:
    """What a measurement needs: programs, mounts, how long it may take."""

    def __init__(self, arguments):
        self.quick = arguments.quick
        self.bin = arguments.bin
        self.target_ms = 60 if self.quick else 150
        self.limit = 10 if self.quick else 20           # seconds, for one call
        self.lines = 200000 if self.quick else 1000000
        self.places = places.Places(arguments.bin, arguments.ipcfs)
        self.queue_64k = places.Queue64k(arguments.work)
        self.counts = {}
        self.workload = None

    def mount(self):
        self.ipc = self.places.mount_ipcfs()
        self.null = self.places.mount_null()
        self.env = {**os.environ, **self.ipc.env, **self.null.env, "BENCH_REDIS": self.places.redis(),
                    "BENCH_TMP": self.places.tmp, "BENCH_LIMIT": str(self.limit)}

    def program(self, name):
        return os.path.join(self.bin, name)

    def run(self, program, *words, env=None, silent=False, limit=None):
        """Run a program; returns its output, or raises Failed with its error messages."""
        start = [sys.executable, os.path.join(HERE, program)] if program.endswith(".py") else \
            [self.program(program)]
        limit = limit or self.limit
        try:
            code, out, err = Proc([*start, *words], env={**self.env, **(env or {}),
                                                         "BENCH_LIMIT": str(limit)}).finish(limit + 5)
        except ClientTimeout:
            raise Failed(f"not done within {limit} s, and its alarm did not end it") from None
        err = (err.strip().splitlines() or ["it printed nothing"])[0]
        if err.startswith("not possible: "):
            raise NotPossible(err[14:])
        if code:
            raise Failed(err[:200])
        return None if silent else json.loads(out)

    def output(self, *command):
        """What a command printed, to both of its outputs."""
        code, out, err = Proc(list(command), env=self.env).finish(self.limit + 5)
        if code:
            raise Failed((err.strip().splitlines() or ["it printed nothing"])[0][:200])
        return out + err

    def count(self, name, words, env=None):
        """The number of repetitions that take a program about target_ms."""
        key = (self.workload, name)
        if key not in self.counts:
            n, most = 200, 200
            while True:
                ns = self.run(*words, str(n), env=env)["ns"]
                most = max(1, int(self.target_ms * 1e6 / ns))
                if n * ns > self.target_ms * 2e5 or n >= most:
                    break
                n = min(n * 20, most)
            self.counts[key] = most
        return self.counts[key]


def measure(bench, workload, peer, results, round_no):
    """Measure one peer (or the peers that are measured together with it) once, into results."""
    function, names = workload.peers[peer], list(workload.peers)
    together = [peer]
    for name in names[names.index(peer) + 1:]:
        if workload.peers[name]:
            break
        together.append(name)
    if any("reason" in results[p] for p in together):
        return
    try:
        for name, got in function(bench, peer).items():
            results[name]["raw"].append({"round": round_no, **got})
    except NotPossible as e:
        for name in together:
            results[name].update(status="not possible", reason=str(e))
    except (AssertionError, OSError, subprocess.SubprocessError, ValueError, KeyError) as e:
        for name in together:
            results[name].update(status="failed", reason=str(e) or type(e).__name__)


def settle(workload, results):
    """Median, minimum and maximum of the rounds, and the aims."""
    for peer in results.values():
        if "reason" not in peer and not peer["raw"]:
            peer.update(status="failed", reason="not measured")
        if "reason" in peer:
            continue
        values = [raw["ns"] for raw in peer["raw"]]
        peer.update(status="measured", median=statistics.median(values), min=min(values),
                    max=max(values))
        for extra in set(peer["raw"][0]) - {"round", "ns", "min", "max"}:
            peer[extra] = statistics.median(raw[extra] for raw in peer["raw"])
    aims = []
    for aim in workload.aims:
        one = {"peer": aim.peer, "reference": aim.reference, "factor": aim.factor,
               "strict": aim.strict, "beside": aim.beside}
        value = results[aim.peer].get("median")
        if aim.reference:
            by = results[aim.reference].get("median")
            value = value / by if value is not None and by else None
        if aim.beside and value is not None:
            more, few = (results[p].get("median") for p in aim.beside)
            value = value / (more / few) if more and few else None
        if value is None:
            one["status"] = "unknown"
        else:
            met = value < aim.factor if aim.strict else value <= aim.factor
            one.update(status="met" if met else "missed", value=value)
        aims.append(one)
    return {"title": workload.title, "unit": workload.unit, "base": workload.base,
            "labels": {p: workload.labels.get(p, p) for p in results}, "peers": results,
            "aims": aims}


def prepare(bench, chosen, results):
    for w in chosen:
        results[w.name] = {p: {"status": "failed", "raw": []} for p in w.peers}
        bench.workload = w.name
        try:
            if w.before:
                w.before(bench)
        except (AssertionError, OSError, subprocess.SubprocessError) as e:
            for peer in results[w.name].values():
                peer.update(status="failed", reason=f"preparation: {e}")


def rounds(bench, chosen, count, enough, results):
    """How many rounds there were, and the seconds that each workload took in all of them.

    After `enough` seconds there are no more than it takes for a median.
    """
    seconds, begun = {}, time.monotonic()
    for i in range(count):
        start = time.monotonic()
        for w in chosen:
            if w.most_rounds and i >= (2 if bench.quick else w.most_rounds):
                continue
            bench.workload, begin = w.name, time.monotonic()
            with w.context(bench):
                for peer, function in w.peers.items():
                    if function:
                        measure(bench, w, peer, results[w.name], i + 1)
            seconds[w.name] = seconds.get(w.name, 0) + time.monotonic() - begin
        print(f"round {i + 1} of {count}: {time.monotonic() - start:.0f} s", flush=True)
        if i + 1 >= (2 if bench.quick else 3) and time.monotonic() - begun > enough:
            break
    return i + 1, seconds


def first_line(*words):
    try:
        out = subprocess.run(words, capture_output=True, text=True, timeout=10, check=False)
    except OSError as e:
        return str(e)
    return ((out.stdout or out.stderr).strip().splitlines() or ["?"])[0]


def machine():
    with open("/proc/cpuinfo") as f:
        model = re.search(r"model name\s*: (.*)", f.read())
    boost = "/usr/include/boost/version.hpp"
    versions = {
        "redis": first_line("redis-server", "--version"),
        "python": platform.python_version(),
        "fuse3": first_line("pkg-config", "--modversion", "fuse3"),
        "libc": " ".join(platform.libc_ver()),
        "compiler": first_line(os.environ.get("CC", "cc"), "--version"),
        "boost": first_line("sed", "-n", 's/.*BOOST_LIB_VERSION "\\(.*\\)"/\\1/p', boost),
        "ipcfs": first_line("git", "-C", HERE, "describe", "--always", "--dirty"),
    }
    return {"cpu": model.group(1) if model else platform.machine(), "cpus": os.cpu_count(),
            "kernel": platform.release(), "load": os.getloadavg()[0], "versions": versions,
            "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds")}


def options():
    parser = argparse.ArgumentParser(prog="tests/bench/run", add_help=False)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--out", required=True)
    parser.add_argument("--rounds", type=int)
    for name in ("work", "bin", "ipcfs"):
        parser.add_argument("--" + name, required=True)
    return parser.parse_args()


def choose(only, quick):
    every = workloads.all_workloads(quick)
    wanted = [name for name in only.split(",") if name]
    for name in wanted:
        if name not in [w.name for w in every]:
            sys.exit(f"no such workload: {name}; there are {' '.join(w.name for w in every)}")
    return [w for w in every if not wanted or w.name in wanted]


def stop(*_):
    """Clean up undisturbed: timeout(1) sends its signal twice."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(130)


def main():
    arguments = options()
    chosen = choose(arguments.only, arguments.quick)
    count = arguments.rounds or (3 if arguments.quick else 7)
    enough = float("inf") if arguments.rounds else 60 if arguments.quick else 240
    signal.signal(signal.SIGTERM, stop)
    about, results = {"machine": machine(), "quick": arguments.quick}, {}
    bench = Bench(arguments)
    start = time.monotonic()
    try:
        bench.mount()
        prepare(bench, chosen, results)
        print(f"prepared: {time.monotonic() - start:.0f} s", flush=True)
        about["rounds"], seconds = rounds(bench, chosen, count, enough, results)
    finally:
        bench.places.close()
    about["seconds"] = round(time.monotonic() - start)
    about["workloads"] = {w.name: settle(w, results[w.name]) for w in chosen}
    for name, one in about["workloads"].items():
        one["seconds"] = round(seconds[name], 1)
    report.write(about, arguments.out)
    failed = [f"{w}: {p}" for w, one in about["workloads"].items()
              for p, peer in one["peers"].items() if peer["status"] == "failed"]
    if failed:
        sys.exit(f"\nNOT MEASURED: {', '.join(failed)}")


main()
