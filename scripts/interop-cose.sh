#!/usr/bin/env bash
# Our SCITT edge against a COSE receipt verifier that nobody here wrote: scitt-cose (PyPI) builds statements, registers them
# with our ledger over HTTP, and checks the receipts under the keys that the ledger lists.
# Needs Python from 3.10 with pip. The packages go into a folder that is removed at the end; versions are pinned in
# test/interop/cose/requirements.txt. Needs a build (npm run build). Ends with "N passed, N failed"; exits 1 if one failed.
set -eu
cd "$(dirname "$0")/.."

refuse() {
  echo "interop-cose: $1"
  echo "0 passed, 1 failed"
  exit 1
}

command -v python3 >/dev/null || refuse "python3 is not installed, and this suite needs it"
[ -f dist/test/interop/cose/serve.js ] || refuse "there is no build: run npm run build first"

work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$work"' EXIT

echo "== pip install -r test/interop/cose/requirements.txt"
timeout 300 python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$work/packages" \
  -r test/interop/cose/requirements.txt || refuse "the Python packages cannot be installed"

echo "== checks"
mkfifo "$work/end"
node dist/test/interop/cose/serve.js <"$work/end" >"$work/place" 2>"$work/server.err" &
server=$!
exec 9>"$work/end"
for _ in $(seq 1 200); do
  [ -s "$work/place" ] && break
  kill -0 "$server" 2>/dev/null || refuse "the ledgers do not start: $(cat "$work/server.err")"
  sleep 0.1
done
status=0
PYTHONPATH="$work/packages" timeout --kill-after=10 120 python3 test/interop/cose/verify.py <"$work/place" || status=$?
exec 9>&-
wait "$server" || refuse "the ledgers did not stop cleanly: $(cat "$work/server.err")"
server=
exit "$status"
