#!/usr/bin/env bash
# Installs the real clients and servers that the tests run against (Debian and its children). Safe to run again: what is
# there already is not touched. Starts no service. Without root or apt it says so and leaves; the tests that need a
# missing program are skipped with a message then.
set -euo pipefail

packages=(curl nghttp2-client openssl nginx-light python3 wget git nftables iproute2 gnutls-bin testssl.sh sslscan libnss3-tools libatomic1 python3-cryptography-vectors
  tshark tcpdump
  postfix swaks msmtp dovecot-lmtpd libgnutls-dane0 libidn12
  c-icap libc-icap-mod-virus-scan clamav clamav-daemon
  vsftpd lftp libhiredis0.14 libmemcached11 libmemcachedutil2 libpcre2-posix3)
packages+=(libnet-ssleay-perl default-jdk-headless)
packages+=(golang-go python3-requests python3-grpcio)
packages+=(php-cli python3-werkzeug python3-django)
packages+=(haproxy squid-openssl)
packages+=(apache2-bin)
packages+=(fcgiwrap skopeo docker-registry ngtcp2-client ngtcp2-server)
# The largest by far: a minute on a busy machine with two cores.
packages+=(chromium)

# FTP servers exclude each other as packages, and so do mail servers; all but one of each are unpacked here and started by the
# tests alone.
unpacked=/opt/daylight-peers
unpack() {
  local sbin="$unpacked/usr/sbin"
  if [ ! -x "$sbin/proftpd" ] || [ ! -x "$sbin/pure-ftpd" ] || [ ! -x "$sbin/exim4" ]; then
    local directory
    directory=$(mktemp -d)
    (cd "$directory" && apt-get -qq download proftpd-core proftpd-mod-crypto pure-ftpd exim4-daemon-light >/dev/null 2>&1) || {
      echo "peers: could not download proftpd-core, proftpd-mod-crypto, pure-ftpd, exim4-daemon-light"
      return
    }
    mkdir -p "$unpacked"
    for package in "$directory"/*.deb; do dpkg-deb -x "$package" "$unpacked"; done
    rm -rf "$directory"
    echo "peers: unpacked ProFTPD, Pure-FTPd and Exim into $unpacked"
  fi
  # Exim is compiled to ask for this user, whatever its configuration says.
  getent passwd Debian-exim >/dev/null ||
    useradd --system --no-create-home --home-dir /var/spool/exim4 --shell /usr/sbin/nologin Debian-exim
}

# An FTP server from npm whose dependencies have an open advisory: outside this project, with no script of theirs run.
ftp_srv() {
  local folder=$unpacked/ftp-srv
  if [ -e "$folder/node_modules/ftp-srv/package.json" ] || ! command -v npm >/dev/null; then return; fi
  mkdir -p "$folder"
  printf '{ "private": true }\n' >"$folder/package.json"
  if (cd "$folder" && npm install --silent --no-audit --no-fund --no-save --ignore-scripts ftp-srv@4.6.3 >/dev/null 2>&1); then
    echo "peers: installed ftp-srv into $folder"
  else echo "peers: could not install ftp-srv"; fi
}
if [ "$(id -u)" -eq 0 ]; then ftp_srv; fi

missing=()
for package in "${packages[@]}"; do
  if ! dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed'; then missing+=("$package"); fi
done
if [ ${#missing[@]} -eq 0 ] && command -v suricata >/dev/null; then
  if command -v apt-get >/dev/null && [ "$(id -u)" -eq 0 ]; then unpack; fi
  exit 0
fi

if ! command -v apt-get >/dev/null; then
  echo "peers: no apt-get here; install by hand what the tests report as missing: ${missing[*]}"
  exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "peers: not root, so these stay missing: ${missing[*]}"
  exit 0
fi

# Debian starts a daemon as soon as it is installed; this file forbids it while we install.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi

export DEBIAN_FRONTEND=noninteractive
# Postfix asks what it shall be for: nothing, the tests bring configurations of their own.
if command -v debconf-set-selections >/dev/null; then
  echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections
fi
log=$(mktemp)
apt() { apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" >"$log" 2>&1; }
# Debian 12 has Suricata in its backports alone, which weigh less than the rest: nothing else is taken from there.
sensor() {
  if command -v suricata >/dev/null; then return; fi
  local codename
  codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
  # The mirror that this machine has bookworm from has its backports too.
  local mirror
  mirror=$(apt-get indextargets --format '$(SITE)' "Codename: $codename" 'Origin: Debian' | sort -u | head -n 1)
  if [ "$codename" = bookworm ] && [ -n "$mirror" ]; then
    echo "deb $mirror bookworm-backports main" >/etc/apt/sources.list.d/daylight-backports.list
    apt update || true
  fi
  if apt install -y --no-install-recommends suricata; then echo "peers: installed suricata"
  else echo "peers: could not install suricata"; fi
}
install() { apt install -y --no-install-recommends "${missing[@]}"; }
# The package lists may be missing or stale: fetch them only when installing fails without.
if [ ${#missing[@]} -eq 0 ] || install || { apt update && install; }; then
  [ ${#missing[@]} -eq 0 ] || echo "peers: installed ${missing[*]}"
  sensor
  rm -f "$log"
  unpack
else
  cat "$log"
  rm -f "$log"
  echo "peers: could not install ${missing[*]}"
  exit 1
fi
