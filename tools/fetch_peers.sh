#!/usr/bin/env bash
# Puts what the benchmark measures beside Postfix into .peers of this clone, without installing it and without root:
# Debian's Exim (fetch_exim.sh) and aiosmtpd, which runs under Debian's own python3.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/fetch_exim.sh

folder=.peers/aiosmtpd
/usr/bin/python3 -c 'import aiosmtpd.controller' 2>/dev/null && exit 0
[ -d "$folder/usr/lib/python3/dist-packages/aiosmtpd" ] && exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && apt-get download -q python3-aiosmtpd python3-attr python3-public python3-typing-extensions 2>&1) \
  >"$work/log" || { cat "$work/log" >&2; exit 1; }
for package in "$work"/*.deb; do
  dpkg-deb --fsys-tarfile "$package" | tar -x -C "$work" --no-same-owner ./usr/lib/python3
done
mkdir -p "$folder"
cp -r "$work/usr" "$folder/"
