#!/usr/bin/env bash
# How long clips take against their length: an hour of footage in a vault of its own, then clips of 1, 10 and 60 minutes.
#
#   scripts/bench/clips.sh [PATH OF dashvault, release build]
set -euo pipefail
dashvault=${1:-target/release/dashvault}
folder=$(mktemp -d)
admin=measure-clips-$RANDOM$RANDOM
vault=
trap 'if [ -n "$vault" ]; then kill "$vault"; wait "$vault" || true; fi; rm -rf "$folder"' EXIT

echo "an hour of 1280x720 at 2.5 Mbit/s with sound is made"
ffmpeg -nostdin -v error -f lavfi -i testsrc2=size=1280x720:rate=30 -f lavfi -i sine -t 60 -c:v libx264 -preset veryfast \
    -b:v 2500k -maxrate 2500k -bufsize 2500k -g 30 -keyint_min 30 -sc_threshold 0 -pix_fmt yuv420p -c:a aac -b:a 128k \
    -f mpegts "$folder/minute.ts"
ffmpeg -nostdin -v error -stream_loop 59 -i "$folder/minute.ts" -c copy -f mpegts "$folder/hour.ts"

"$dashvault" serve --data "$folder/data" --http 127.0.0.1:0 --srt 127.0.0.1:0 --reserve 1MiB --admin-token "$admin" \
    >"$folder/out" 2>"$folder/log" &
vault=$!
until url=$(grep -o 'http=http://[0-9.:]*' "$folder/out" 2>/dev/null); do kill -0 "$vault"; read -rt 0.1 <> <(:) || true; done
url=${url#http=}
"$dashvault" device add bus --data "$folder/data" >/dev/null
began=$(date +%s%N)
"$dashvault" import --vault "$url" --token "$admin" --device bus --at 2026-11-22T10:00:00Z "$folder/hour.ts" >/dev/null 2>&1
echo "imported: $(stat -c %s "$folder/hour.ts") bytes in $(((($(date +%s%N) - began)) / 1000000)) ms"

call() { curl -sS --fail-with-body -H "Authorization: Bearer $admin" "$@"; }
field() { python3 -c "import json, sys; print(json.load(sys.stdin)['$1'])"; }
for minutes in 1 10 59; do
    to=$(date -u -d "2026-11-22T10:00:30Z + $minutes minutes" +%Y-%m-%dT%H:%M:%SZ)
    range="from=2026-11-22T10:00:30Z&to=$to"
    began=$(date +%s%N)
    bytes=$(call "$url/api/v1/devices/bus/cameras/main/clip.ts?$range" | wc -c)
    echo "$minutes min as .ts: $((($(date +%s%N) - began) / 1000000)) ms, $bytes bytes"
    began=$(date +%s%N)
    id=$(call -H 'Content-Type: application/json' "$url/api/v1/clips" \
        -d "{\"device\":\"bus\",\"camera\":\"main\",\"from\":\"2026-11-22T10:00:30Z\",\"to\":\"$to\"}" | field id)
    until state=$(call "$url/api/v1/clips/$id" | field state) && [ "$state" = finished ]; do
        [ "$state" != failed ] || { echo "the clip has failed" >&2; exit 1; }
    done
    made=$((($(date +%s%N) - began) / 1000000))
    call "$url/api/v1/clips/$id/file" -o "$folder/clip.mp4"
    echo "$minutes min as .mp4: $made ms, $(stat -c %s "$folder/clip.mp4") bytes," \
        "$(ffprobe -v error -show_entries format=duration -of csv=p=0 "$folder/clip.mp4") s long"
done
