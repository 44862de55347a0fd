#!/bin/sh
# What `./do bench` runs: sh bench.sh LIMBECK OUTPUT_FOLDER
#   LIMBECK_MODELS         a folder with .gguf files to measure; none: only the ops
#   LIMBECK_PEERS_PYTHON   a Python with llama-cpp-python and tokenizers to race against
set -u
limbeck=$1
out=$2
here=$(dirname "$0")
echo "ops -> $out/ops.csv"
"$limbeck" bench ops || exit 1
"$limbeck" bench ops --csv --quiet >"$out/ops.csv" || exit 1
if [ -z "${LIMBECK_MODELS:-}" ]; then
  echo "LIMBECK_MODELS names no folder of .gguf files: models and peers are left out"
  exit 0
fi
if [ -z "${LIMBECK_PEERS_PYTHON:-}" ]; then
  echo "LIMBECK_PEERS_PYTHON is not set: no peers; Limbeck alone"
  for model in "$LIMBECK_MODELS"/*.gguf; do
    for what in load tokenize prompt generate; do "$limbeck" bench $what "$model" || exit 1; done
  done
  exit 0
fi
exec "$LIMBECK_PEERS_PYTHON" "$here/peers.py" "$limbeck" "$out/peers.csv" "$LIMBECK_MODELS"/*.gguf
