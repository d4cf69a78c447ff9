#!/usr/bin/env bash
# Our ledger and our witness against programs that nobody here wrote, over loopback (npm run test:interop):
#   litewitness      filippo.io/torchwood   cosigns our log; our quorum wants its line
#   omniwitness      transparency-dev/witness  cosigns our log with Ed25519 and ML-DSA-44; our quorum wants its line
#   torchwood, x/mod in test/interop/go     read our whole log and verify our log proofs
#   Tessera          in test/interop/go     checks our log and our mirror's files with its fsck; runs a log that our witness cosigns
# Needs Go, from 1.25, and OpenSSH. The programs come from the Go module proxy into a folder that is removed at the end;
# versions are pinned here and in test/interop/go/go.mod. Ends with "N passed, N failed"; exits 1 if one failed.
set -eu
cd "$(dirname "$0")/.."
TORCHWOOD=v0.9.0
# The module has no tagged version: this is what its proxy serves as the newest of July 2026.
OMNIWITNESS=v0.0.0-20260720115447-2e1c6971d19e

refuse() {
  echo "interop: $1"
  echo "0 passed, 1 failed"
  exit 1
}

for program in go ssh-agent ssh-add ssh-keygen; do
  command -v "$program" >/dev/null || refuse "$program is not installed, and this suite needs it"
done

bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT

echo "== go install filippo.io/torchwood/cmd/litewitness@$TORCHWOOD"
GOBIN=$bin timeout 300 go install "filippo.io/torchwood/cmd/litewitness@$TORCHWOOD" || refuse "litewitness does not build"
echo "== go install github.com/transparency-dev/witness/cmd/omniwitness@$OMNIWITNESS"
GOBIN=$bin timeout 400 go install "github.com/transparency-dev/witness/cmd/omniwitness@$OMNIWITNESS" || refuse "omniwitness does not build"
echo "== go build test/interop/go: addlog, auditlog, readlog, tesseralog"
(cd test/interop/go && timeout 300 go build -mod=readonly -o "$bin/" ./...) || refuse "the Go programs do not build"
echo "== npm run build"
npm run --silent build || refuse "the build fails"
echo "== checks"
timeout --kill-after=10 300 node dist/test/interop/run.js "$bin"
