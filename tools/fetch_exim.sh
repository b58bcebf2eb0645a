#!/usr/bin/env bash
# Puts Debian's Exim into .peers/exim of this clone, without installing it (it conflicts with Postfix) and without root.
#
#   tools/fetch_exim.sh [FOLDER]        then lab/exim.py finds it; does nothing when it is there already
#
# With it come the libraries it needs that this system lacks, and nss_wrapper, which gives it the user it was built for.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-.peers/exim}
[ -x "$folder/usr/sbin/exim4" ] && exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The packages, and the libraries below them (only through libraries) that are not installed here.
needed() {
  local todo="exim4-daemon-light" seen=" " name next
  echo exim4-daemon-light exim4-base libnss-wrapper
  while [ -n "$todo" ]; do
    next=""
    for name in $(apt-cache depends --important $todo | sed -n 's/^ *|\?Depends: \(lib[^:]*\).*/\1/p' | sort -u); do
      case "$seen" in *" $name "*) continue ;; esac
      seen="$seen$name "
      dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'ok installed' && continue
      echo "$name"
      next="$next $name"
    done
    todo=$next
  done
}

# shellcheck disable=SC2046,SC2086
(cd "$work" && apt-get download -q $(needed) 2>&1) >"$work/log" || { cat "$work/log" >&2; exit 1; }
mkdir -p "$work/exim"
for package in "$work"/*.deb; do dpkg-deb --fsys-tarfile "$package" | tar -x -C "$work/exim" --no-same-owner; done
chmod u-s "$work/exim/usr/sbin/exim4"  # set-user-id would drop nss_wrapper, and nothing here needs it
mkdir -p "$(dirname "$folder")"
rm -rf "$folder"
mv "$work/exim" "$folder"
