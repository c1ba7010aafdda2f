#!/usr/bin/env bash
# What a report of a year of two hundred meters takes: seconds and memory for HTML, for everything, and to check it sealed.
#
#   benches/report.sh [RUNS=5]
#
# Needs GNU time. Builds the release program first, and plays the year into a directory of its own.
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-5}
cargo build --release --locked --quiet --bin coldwatch --example year
target="${CARGO_TARGET_DIR:-target}/release"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$target/examples/year" "$folder/data"
"$target/coldwatch" key create --data "$folder/data" >/dev/null

measure() { # NAME COMMAND...
    local name=$1
    shift
    for _ in $(seq "$runs"); do
        rm -rf "$folder/out"
        /usr/bin/time -f '%e %M' -o "$folder/time" "$@" >/dev/null 2>&1
        cat "$folder/time"
    done | sort -n | awk -v name="$name" -v runs="$runs" '
        { seconds[NR] = $1; if ($2 > most) most = $2 }
        END { printf "%-28s median %5.2f s, most resident %6.1f MiB\n", name, seconds[int((runs + 1) / 2)], most / 1024 }'
}
report=("$target/coldwatch" report --data "$folder/data" --year 2024)
measure "HTML" "${report[@]}" --out "$folder/out" --format html
measure "HTML, JSON, two languages" "${report[@]}" --out "$folder/out" --format html,json,csv --lang en,zh-CN
measure "registers" "${report[@]}" --out "$folder/out" --format registers
measure "sealed" "${report[@]}" --out "$folder/out" --seal
"${report[@]}" --seal --out "$folder/kept" >/dev/null 2>&1
mv "$folder"/kept/*.zip "$folder/kept.zip"
measure "verified" "$target/coldwatch" report verify "$folder/kept.zip"
du -b "$folder/data/ledger.db" "$folder/kept.zip"
