#!/bin/sh
# What `./do bench` runs: sh bench.sh LIMBECK OUTPUT_FOLDER BENCH_HEAD
#   LIMBECK_MODELS         a folder with .gguf files to measure; none: only the ops
#   LIMBECK_PEERS_PYTHON   a Python with llama-cpp-python and tokenizers to race against; for
#                          distillation with torch, transformers and datasets
#   LIMBECK_TOKENIZERS     a folder of folders, each with a tokenizer.json, or vocab.json and merges.txt
#   LIMBECK_PEER_JOBS      a folder with PyTorch's distillation jobs: reference_job.py, kd_step.py,
#                          make_models.py, sentences.txt
#   LIMBECK_JOB_MODELS     where gpt2-medium and gpt2 lie, or are to be written (OUTPUT_FOLDER/models)
set -u
limbeck=$1
out=$2
head=$3
here=$(dirname "$0")
echo "ops -> $out/ops.csv"
"$limbeck" bench ops || exit 1
"$limbeck" bench ops --csv --quiet >"$out/ops.csv" || exit 1

if [ -n "${LIMBECK_PEERS_PYTHON:-}" ]; then
  echo "the end of a step -> $out/head.csv"
  "$LIMBECK_PEERS_PYTHON" "$here/head_peers.py" "$head" "$out/head.csv" || exit 1
fi

distill() {
  if [ -z "${LIMBECK_PEER_JOBS:-}" ]; then
    echo "LIMBECK_PEER_JOBS names no folder of PyTorch jobs: distillation beside its peers is left out"
    return 0
  fi
  if [ -z "${LIMBECK_PEERS_PYTHON:-}" ]; then
    echo "LIMBECK_PEERS_PYTHON is not set: distillation beside its peers is left out"
    return 0
  fi
  models=${LIMBECK_JOB_MODELS:-$out/models}
  [ -f "$models/gpt2/config.json" ] || "$LIMBECK_PEERS_PYTHON" "$LIMBECK_PEER_JOBS/make_models.py" "$models" || exit 1
  echo "distillation -> $out/distill.csv (the peer takes minutes)"
  "$LIMBECK_PEERS_PYTHON" "$here/distill_peers.py" "$limbeck" "$out/distill.csv" "$LIMBECK_PEER_JOBS" "$models" || exit 1
}
distill
if [ -n "${LIMBECK_TOKENIZERS:-}" ] && [ -n "${LIMBECK_PEERS_PYTHON:-}" ]; then
  echo "tokenizers -> $out/tokenizers.csv"
  "$LIMBECK_PEERS_PYTHON" "$here/tokenizer_peers.py" "$(dirname "$limbeck")/liblimbeck.so" "$out/tokenizers.csv" \
    "$LIMBECK_TOKENIZERS"/* || exit 1
else
  echo "LIMBECK_TOKENIZERS or LIMBECK_PEERS_PYTHON is not set: tokenizers beside their peer are left out"
fi
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
if [ -n "${LIMBECK_JOB_MODELS:-}" ]; then
  for small in "$LIMBECK_MODELS"/*.gguf; do break; done
  echo "teacher passes, beams, the cost of a token -> $out/inference.csv"
  "$LIMBECK_PEERS_PYTHON" "$here/inference.py" "$limbeck" "$out/inference.csv" "$LIMBECK_JOB_MODELS" "$small" || exit 1
fi
exec "$LIMBECK_PEERS_PYTHON" "$here/peers.py" "$limbeck" "$out/peers.csv" "$LIMBECK_MODELS"/*.gguf
