#!/usr/bin/env bash
# The storage driver postgres-s3 against programs that nobody here wrote, over loopback (npm run test:postgres-s3):
#   PostgreSQL   Debian's package; each test file has a cluster of its own in a temporary folder, run by the user postgres
#   versitygw    an S3 server, built from its Go module; a probe shows that it honours conditional writes, or nothing starts
# Installs both where they are missing: PostgreSQL if this is root on Debian, versitygw into COUNTERSIGN_TOOLS (default: below the
# user's cache folder, so that it is built once); with --install it stops there. Needs Go, from 1.25. Exits 1 if a test failed or something is missing.
set -eu
cd "$(dirname "$0")/.."
VERSITYGW=v1.8.0

refuse() {
  echo "postgres-s3: $1"
  echo "0 passed, 1 failed"
  exit 1
}

if ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then
  [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null || refuse "PostgreSQL is not installed, and this suite needs it"
  echo "== apt-get install postgresql"
  apt-get update -qq || refuse "apt-get update fails"
  # The package would start a cluster of its own; the suite makes its own and needs none.
  DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends postgresql >/dev/null || refuse "PostgreSQL cannot be installed"
fi
command -v go >/dev/null || refuse "Go is not installed, and this suite builds versitygw with it"

tools=${COUNTERSIGN_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/countersign-tools}/versitygw-$VERSITYGW
if [ ! -x "$tools/versitygw" ]; then
  echo "== go install github.com/versity/versitygw/cmd/versitygw@$VERSITYGW"
  mkdir -p "$tools"
  GOBIN=$tools timeout 600 go install "github.com/versity/versitygw/cmd/versitygw@$VERSITYGW" || refuse "versitygw does not build"
fi
export COUNTERSIGN_VERSITYGW=$tools/versitygw
[ "${1:-}" != "--install" ] || exit 0

echo "== npm run build"
npm run --silent build || refuse "the build fails"
echo "== tests"
timeout --kill-after=10 600 npx vitest run --config vitest.postgres-s3.config.ts "$@"
