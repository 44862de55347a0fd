#!/bin/sh
# What `limbeck compare` says, PyTorch says (peers/check_compare.py). Needs a Python with torch and
# transformers (versions: generate/requirements.txt), named by LIMBECK_PEERS_PYTHON. Without it:
# skipped, and it says why.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

skip() {
  echo "skipped: $1" >&2
  exit 77
}

[ -n "${LIMBECK:-}" ] || skip "LIMBECK does not name the binary"
[ -x "$LIMBECK" ] || skip "$LIMBECK is not built"
[ -n "${LIMBECK_PEERS_PYTHON:-}" ] || skip "LIMBECK_PEERS_PYTHON does not name a Python that has the peers"
for module in torch transformers; do
  "$LIMBECK_PEERS_PYTHON" -c "import $module" >/dev/null 2>&1 ||
    skip "$LIMBECK_PEERS_PYTHON has no module $module"
done
exec "$LIMBECK_PEERS_PYTHON" "$here/peers/check_compare.py" "$LIMBECK" "$here/data/models"
