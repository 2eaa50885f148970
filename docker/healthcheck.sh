#!/bin/bash
# Healthy when the admin address says that a relay accepts connections.
exec 3<>"/dev/tcp/127.0.0.1/${DAYLIGHT_ADMIN_PORT:-8081}" || exit 1
printf 'GET /health HTTP/1.0\r\n\r\n' >&3
read -r _ status _ <&3
[ "$status" = 200 ]
