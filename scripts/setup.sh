#!/usr/bin/env bash
# Installs what the demo and the tests need on Debian or Ubuntu, and nothing that is there already.
#
#   scripts/setup.sh          for `make demo`: a C compiler, ffmpeg, pip (for the footage)
#   scripts/setup.sh tests    for `make test` also: srt-live-transmit
#   scripts/setup.sh bench-srt    for `make bench-srt` also: gcc and libsrt to compile against
#
# Elsewhere (macOS, Fedora, …) it says what is missing and leaves the installing to you.
set -euo pipefail

packages=()
need() { # COMMAND PACKAGE
    command -v "$1" >/dev/null 2>&1 || packages+=("$2")
}

need cc build-essential       # SQLite is compiled in
need ffmpeg ffmpeg
command -v ffprobe >/dev/null 2>&1 || [[ " ${packages[*]} " = *" ffmpeg "* ]] || packages+=(ffmpeg)
need python3 python3
python3 -m pip --version >/dev/null 2>&1 || packages+=(python3-pip)
[ -e /etc/ssl/certs/ca-certificates.crt ] || packages+=(ca-certificates)
if [ "${1:-}" = tests ] || [ "${1:-}" = bench-srt ]; then
    need srt-live-transmit srt-tools
fi
if [ "${1:-}" = bench-srt ]; then
    need gcc gcc
    [ -e /usr/include/srt/srt.h ] || packages+=(libsrt-openssl-dev)
fi

if ! command -v cargo >/dev/null 2>&1; then
    echo "setup: no Rust toolchain found; install one from https://rustup.rs and start again" >&2
    exit 3
fi
if [ ${#packages[@]} -eq 0 ]; then
    exit 0
fi
if ! command -v apt-get >/dev/null 2>&1; then
    echo "setup: please install: ${packages[*]} (this machine has no apt-get)" >&2
    exit 3
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "setup: as root, run: apt-get install ${packages[*]}" >&2
        exit 3
    fi
    as_root=(sudo)
fi
# A sudo that would ask for a password in CI must fail instead of waiting for ever.
if [ -n "${CI:-}" ] && [ ${#as_root[@]} -gt 0 ]; then
    as_root+=(-n)
fi

install() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 "${packages[@]}" >/dev/null
}

echo "setup: installing ${packages[*]}"
# The package lists of a fresh image are empty or old: fetch them only if the first try fails.
install 2>/dev/null || { "${as_root[@]}" apt-get update -qq && install; }
