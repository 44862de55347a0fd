#!/bin/sh
# What a run writes, the real Transformers and llama.cpp load, with our numbers. Needs a Python with
# torch, transformers, tokenizers and safetensors, named by LIMBECK_PEERS_PYTHON; without it: skipped,
# and it says why. Without llama_cpp or tensorboard in it: those comparisons are left out, and it says so.
set -eu

skip() {
  echo "skipped: $1" >&2
  exit 77
}

[ -x "${LIMBECK:-}" ] || skip "LIMBECK does not name the binary"
[ -n "${LIMBECK_PEERS_PYTHON:-}" ] || skip "LIMBECK_PEERS_PYTHON does not name a Python that has the peers"
for module in torch transformers tokenizers safetensors; do
  "$LIMBECK_PEERS_PYTHON" -c "import $module" >/dev/null 2>&1 ||
    skip "$LIMBECK_PEERS_PYTHON has no module $module"
done
golden=$LIMBECK_SOURCE_DIR/tests/golden
exec "$LIMBECK_PEERS_PYTHON" "$golden/peers/student.py" "$LIMBECK" "$golden/data"
