#!/bin/sh
# What convert writes, Transformers and llama.cpp load, and their numbers agree with ours.
# shellcheck disable=SC1091
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../support/peers.sh"
need_peers torch transformers tokenizers safetensors llama_cpp
exec "$LIMBECK_PEERS_PYTHON" "$here/peers/roundtrip.py" "$LIMBECK" "$here/data" "$@"
