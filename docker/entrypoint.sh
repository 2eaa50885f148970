#!/bin/sh
# Runs the gateway in a container: makes the CA if there is none, publishes its certificate, captures traffic if asked to,
# starts, and takes the capture back at the end.
#
#   DAYLIGHT_CONFIG   configuration (default /etc/daylight/daylight.yaml)
#   DAYLIGHT_CAPTURE  options of `daylight net up`, e.g. "--local --except-user daylight"; empty: nothing is captured
#   DAYLIGHT_ON_STOP  `release` (default) removes the capture at the end, so that traffic passes uninspected; `hold` leaves
#                     it, so that captured clients get no connection until the gateway is back
# With arguments it runs `daylight` with them and nothing else: docker run --rm daylight --help
set -eu

config=${DAYLIGHT_CONFIG:-/etc/daylight/daylight.yaml}
public=/var/lib/daylight/public

# NET_ADMIN (bit 12) and NET_RAW (bit 13): for the rules, and for TPROXY sockets. Some engines hand them to this user as
# they are; where the container only may have them (the bounding set), the copy of setpriv takes them up, unless
# no-new-privileges forbids it.
has_both() { [ $((0x$(sed -n "s/^$1:[[:space:]]*//p" /proc/self/status) & 0x3000)) -eq $((0x3000)) ]; }
capable=
if ! has_both CapEff && has_both CapBnd && grep -q '^NoNewPrivs:[[:space:]]*0' /proc/self/status; then
  capable="/usr/local/libexec/daylight/setpriv --inh-caps=+net_admin,+net_raw --ambient-caps=+net_admin,+net_raw --"
fi

if [ $# -gt 0 ]; then exec $capable daylight "$@"; fi

daylight ca create --config "$config" >/dev/null 2>&1 || true
daylight ca export --config "$config" --format pem --out "$public/ca.pem"

# Before the start: what is captured waits or fails, and never passes uninspected.
if [ -n "${DAYLIGHT_CAPTURE:-}" ]; then
  # Split into words on purpose: it is a list of options.
  # shellcheck disable=SC2086
  $capable daylight net up --config "$config" $DAYLIGHT_CAPTURE
fi

$capable daylight start --config "$config" &
gateway=$!
trap 'kill -TERM $gateway 2>/dev/null || true' TERM INT
trap 'kill -HUP $gateway 2>/dev/null || true' HUP

# `wait` returns early when a signal arrives: wait again until the gateway has really ended.
while :; do
  status=0
  wait "$gateway" || status=$?
  kill -0 "$gateway" 2>/dev/null || break
done

if [ -n "${DAYLIGHT_CAPTURE:-}" ] && [ "${DAYLIGHT_ON_STOP:-release}" != hold ]; then $capable daylight net down; fi
exit "$status"
