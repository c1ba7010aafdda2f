#!/usr/bin/env bash
# What a gateway takes of a machine: N demo halls polled once a second, kept, and forwarded to VictoriaMetrics.
#
#   benches/gateway.sh [HALLS=6] [SECONDS=600]
#
# Six halls are about 10 000 points. The simulated plant and the database run on the same machine, so that it should be an
# idle one with more than one core. Needs python3 and victoria-metrics; builds the release program first.
set -euo pipefail
cd "$(dirname "$0")/.."
halls=${1:-6} seconds=${2:-600}
cargo build --release --locked --quiet
coldwatch="${CARGO_TARGET_DIR:-target}/release/coldwatch"
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$folder"' EXIT

python3 benches/halls.py "$halls" >"$folder/halls.toml"
"$coldwatch" simulate normal_day --site "$folder/halls.toml" --port-base 0 --write-site "$folder/site.toml" \
    >/dev/null 2>&1 &
until [ -s "$folder/site.toml" ]; do sleep 0.2; done
database=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
victoria-metrics -httpListenAddr="127.0.0.1:$database" -storageDataPath="$folder/database" -retentionPeriod=1y \
    -dedup.minScrapeInterval=1ms -loggerLevel=ERROR 2>/dev/null &
printf '\n[influxdb]\nurl = "http://127.0.0.1:%s"\norg = "o"\nbucket = "b"\ntoken = "${env:TOKEN}"\n' "$database" \
    >>"$folder/site.toml"
TOKEN=of-this-run "$coldwatch" run --site "$folder/site.toml" --data "$folder/data" --socket "$folder/api.sock" \
    --listen 127.0.0.1:0 --trust-clock 2>"$folder/log" &
gateway=$!
sleep 20 # Everything has been read once.

ticks() { awk '{ print $14 + $15 }' "/proc/$gateway/stat"; }
written() { awk '/^write_bytes/ { print $2 }' "/proc/$gateway/io"; }
cpu=$(ticks) bytes=$(written)
sleep "$seconds"
cpu=$(($(ticks) - cpu)) bytes=$(($(written) - bytes))
"$coldwatch" status --json --connect "unix:$folder/api.sock" >"$folder/status.json" || true
rate=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["health"]["samples_per_second"])' \
    "$folder/status.json")
resident=$(awk '/^VmHWM/ { print $2 }' "/proc/$gateway/status")
kill "$gateway"
wait "$gateway" || true
awk -v cpu="$cpu" -v hz="$(getconf CLK_TCK)" -v s="$seconds" -v b="$bytes" -v r="$rate" -v m="$resident" 'BEGIN {
    printf "samples/s            %10.0f\n", r
    printf "CPU, of one core     %10.1f %%\n", 100 * cpu / hz / s
    printf "most resident        %10.1f MiB\n", m / 1024
    printf "written per sample   %10.2f bytes\n", b / (r * s) }'
echo "in the data directory:"
du -b "$folder"/data/* | sort -n | tail -6
