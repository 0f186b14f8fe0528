#!/bin/bash
# worker.sh MOUNT REPORT: count lines, and take a checksum with a permit of slots.sem
ipc=$1 report=$2
read -r _ < "$ipc/go.event"             # waits until it is set
exec 8<> "$ipc/report.lock"
while IFS= read -r name; do             # reading takes; end of file once the queue is closed
	read -r lines bytes < <(wc -lc < "$name")
	sum=$(flock "$ipc/slots.sem" sha256sum < "$name")
	read -r _ <&8                   # takes the lock ...
	printf 'bash\t%s\t%s\t%s\t%s\n' "$lines" "$bytes" "${sum%% *}" "$name" >> "$report"
	echo >&8                        # ... and gives it back
	echo 1 > "$ipc/jobs.queue.ctl/done"
done < "$ipc/jobs.queue"
