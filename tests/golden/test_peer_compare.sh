#!/bin/sh
# What `limbeck compare` says, PyTorch says.
# shellcheck disable=SC1091
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../support/peers.sh"
need_peers torch transformers
exec "$LIMBECK_PEERS_PYTHON" "$here/peers/check_compare.py" "$LIMBECK" "$here/data/models"
