#!/bin/sh
# What a run writes, the real Transformers and llama.cpp load, with our numbers. Without llama_cpp or
# tensorboard in that Python those comparisons are left out, and it says so.
# shellcheck disable=SC1091
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../support/peers.sh"
need_peers torch transformers tokenizers safetensors
exec "$LIMBECK_PEERS_PYTHON" "$here/../golden/peers/student.py" "$LIMBECK" "$here/../golden/data"
