#!/bin/sh
# What shrink writes, Transformers loads.
# shellcheck disable=SC1091
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../support/peers.sh"
need_peers torch transformers
exec "$LIMBECK_PEERS_PYTHON" "$here/peers/check_shrink.py" "$LIMBECK" "$here/data/models"
