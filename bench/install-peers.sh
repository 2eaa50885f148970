#!/usr/bin/env bash
# Installs what the benchmark runs beside Daylight: SSLsplit, Squid, mitmproxy, HAProxy and nginx from Debian, and
# http-mitm-proxy from npm into a folder of its own, outside this project. Starts no service; safe to run again.
# Usage: bench/install-peers.sh [FOLDER]   (default: $DAYLIGHT_BENCH_PEERS or bench/out/peers)
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=${1:-${DAYLIGHT_BENCH_PEERS:-$here/out/peers}}
packages=(sslsplit squid-openssl mitmproxy haproxy nginx-light iproute2 openssl util-linux)

missing=()
for package in "${packages[@]}"; do
  if ! dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed'; then missing+=("$package"); fi
done
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" -ne 0 ]; then
    echo "not root: install these first: ${missing[*]}" >&2
    exit 1
  fi
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq -o DPkg::Lock::Timeout=300 update
  apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 install -y --no-install-recommends "${missing[@]}" >/dev/null
fi

mkdir -p "$folder"
if [ ! -e "$folder/node_modules/http-mitm-proxy/package.json" ]; then
  printf '{ "private": true }\n' >"$folder/package.json"
  (cd "$folder" && npm install --silent --no-audit --no-fund --no-save http-mitm-proxy@1.1.0)
fi
echo "peers installed; http-mitm-proxy is in $folder"
