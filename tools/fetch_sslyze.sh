#!/usr/bin/env bash
# Puts the TLS scanner sslyze into .peers/sslyze of this clone: an environment of its own, since it needs an older
# cryptography than Ekiden.
#
#   tools/fetch_sslyze.sh [FOLDER]        then tests/integration/test_sslyze.py finds it; does nothing when it is current
#
# The versions, with their hashes, are those of requirements/sslyze.lock. PYTHON: which one, default .venv's.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-.peers/sslyze}
lock=requirements/sslyze.lock
cmp -s "$lock" "$folder/installed.lock" && exit 0

python=${PYTHON:-.venv/bin/python}
[ -x "$python" ] || python=python3
rm -rf "$folder"
mkdir -p "$(dirname "$folder")"
"$python" -m venv "$folder"
install=("$folder/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes)
# sslyze comes as source: first everything else, then it, built by the setuptools of the lock, not by one fetched for it
awk '/^[a-z]/ { skip = /^sslyze==/ } !skip' "$lock" >"$folder/below.lock"
"${install[@]}" --only-binary :all: -r "$folder/below.lock"
"${install[@]}" --no-build-isolation -r "$lock"
cp "$lock" "$folder/installed.lock"
