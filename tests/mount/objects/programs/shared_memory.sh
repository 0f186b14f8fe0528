#!/bin/bash
# A child changes a value and an array. Usage: shared_memory.sh FOLDER
cd "$1" || exit
touch num.value arr.array
echo d > num.value.ctl/typecode
echo 0 > num.value
echo i > arr.array.ctl/typecode
truncate -s 40 arr.array                    # ten int
for i in {0..9}; do echo "$i $i" > arr.array.ctl/items; done

child() {
    echo 3.1415927 > num.value
    mapfile -t items < arr.array.ctl/items
    for i in "${!items[@]}"; do echo "$i $((-items[i]))" > arr.array.ctl/items; done
}

child &
wait
cat num.value
mapfile -t items < arr.array.ctl/items
echo "${items[*]}"
