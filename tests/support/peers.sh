# Read by tests that ask a Python with the peers: `. "$here/../support/peers.sh"`.
# That Python is named by LIMBECK_PEERS_PYTHON (versions: tests/golden/generate/requirements.txt);
# without it, or without a module, a test is skipped and says why.
# shellcheck shell=sh
set -eu

skip() {
  echo "skipped: $1" >&2
  exit 77
}

# need_peers MODULE...: the binary, the Python, and these modules in it
need_peers() {
  [ -n "${LIMBECK:-}" ] || skip "LIMBECK does not name the binary"
  [ -x "$LIMBECK" ] || skip "$LIMBECK is not built"
  [ -n "${LIMBECK_PEERS_PYTHON:-}" ] || skip "LIMBECK_PEERS_PYTHON does not name a Python that has the peers"
  for module in "$@"; do
    "$LIMBECK_PEERS_PYTHON" -c "import $module" >/dev/null 2>&1 ||
      skip "$LIMBECK_PEERS_PYTHON has no module $module"
  done
}
