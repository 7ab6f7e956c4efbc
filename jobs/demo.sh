#!/bin/sh
# The demo: two sample jobs through the real command line, on a local simulator. No key, nothing but loopback.
# Three sample rows are wrong on purpose, so both jobs end with exit code 3.
set -u
cd "$(dirname "$0")/.."
batcher=${BATCHER:-.venv/bin/batcher}
demo=$(mktemp -d)
trap 'kill "$simulator" 2>/dev/null; rm -rf "$demo"' EXIT
"$batcher" simulator --port 0 --render 2s >"$demo/simulator" 2>&1 &
simulator=$!
tries=0
until url=$(sed -n 's/^simulator on \([^ ]*\).*/\1/p' "$demo/simulator") && [ -n "$url" ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] && kill -0 "$simulator" 2>/dev/null || { cat "$demo/simulator"; exit 1; }
    sleep 0.1
done
export HEYGEN_BASE_URL="$url" BATCHER_STATE="$demo/state"
unset HEYGEN_API_KEY

run() {  # job, what the rows must come to
    printf '\n$ batcher run %s\n' "$1"
    "$batcher" run "$1"
    code=$?
    told=$("$batcher" status "$1" | tail -n 1)
    if [ "$code" -ne 3 ] || [ "$told" != "$2" ]; then
        printf 'The demo expected exit code 3 and "%s",\nand got exit code %s and "%s".\n' "$2" "$code" "$told" >&2
        exit 1
    fi
}
run jobs/welcome.yaml "42 rows = 38 done + 1 failed + 1 invalid + 2 skipped ✓"
run jobs/translations.yaml "12 rows = 11 done + 1 invalid ✓"

for name in welcome translations; do
    printf '\n%s\n' "results/$name.csv begins:"
    head -n 3 "results/$name.csv" | cut -c 1-230
done
printf '\nThree rows were wrong on purpose; the results say so beside them:\n'
grep -hE ',(failed|invalid),' results/welcome.csv results/translations.csv | cut -c 1-120
printf '\nThe whole results are in %s\n' "$(pwd)/results/"
