#!/bin/bash
# Three workers wait until the stage is set; notify_all. Usage: notify_all.sh FOLDER
cd "$1" || exit
touch stage.cond here.sem
echo dark > stage.value

worker() {
    exec 9<> stage.cond                     # one handle: its lock, wait, notify
    flock 9
    echo 1 > here.sem
    while [ "$(cat stage.value)" = dark ]; do
        read -r _ <&9                       # the lock is free while it waits
    done
    echo "worker $1 plays"
    flock -u 9
}

for i in 1 2 3; do worker "$i" & done
for i in 1 2 3; do read -r _ < here.sem; done
exec 9<> stage.cond
flock 9                                     # all three wait: else one of them had the lock
echo "waiting: $(stat -c %s stage.cond)"
echo lit > stage.value
echo all >&9
flock -u 9
wait
