# SPDX-License-Identifier: MIT
"""shell.py BLOCKS - bash's `echo x > queue; read -r y < queue` on ipcfs, and with the same requests on
the empty FUSE file system, in turns of 100 each by one shell on one CPU (BENCH_CPU), on which both
daemons run as well. Prints the nanoseconds of a pair on each, the median of the blocks."""
import json
import os
import statistics
import subprocess
import sys

SCRIPT = r"""
turn() {
	local i start=${EPOCHREALTIME/[.,]/}
	for ((i = 0; i < 100; i++)); do
		echo x > "$1" && read -r y < "$1" || exit
	done
	echo $((${EPOCHREALTIME/[.,]/} - start))
}
for ((block = 0; block <= $3; block++)); do
	turn "$1"
	turn "$2"
done
"""


def main():
    blocks = int(sys.argv[1])
    queue = os.path.join(os.environ["BENCH_IPC"], "shell.queue")
    null = os.path.join(os.environ["BENCH_NULL"], "shell")
    os.sched_setaffinity(0, {int(os.environ["BENCH_CPU"])})
    with open(queue, "w"):
        pass
    done = subprocess.run(["timeout", os.environ.get("BENCH_LIMIT", "60"), "bash", "-c", SCRIPT, "-",
                           queue, null, str(blocks)], stdout=subprocess.PIPE, text=True, check=True)
    os.unlink(queue)
    times = [int(us) * 10 for us in done.stdout.split()]    # of 100 pairs
    print(json.dumps({"shell": {"ns": statistics.median(times[2::2])},
                      "null-shell": {"ns": statistics.median(times[3::2])}}))


main()
