#!/bin/sh
# Verbs on a tiny model under valgrind's memcheck: no invalid access, nothing lost. The portable
# kernels run: valgrind does not know all vector instructions, and code that oneDNN generates reads
# beyond its own buffers. valgrind.sh LIMBECK
set -eu
limbeck=$1
models=$(dirname "$0")/../tests/golden/data/models
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export GOMP_SPINCOUNT=1000 OMP_NUM_THREADS=1 LIMBECK_KERNELS=portable
printf '{"text":"The still drips."}\n{"ids":[5,6,7,8]}\n' >"$work/docs.jsonl"

check() {
  printf '%s\n' "valgrind: limbeck $*"
  valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite \
    "$limbeck" "$@" </dev/null >/dev/null
}
check convert "$models/llama-tied-gqa" "$work/tiny.gguf" --quiet
for model in "$models/llama-tied-gqa" "$work/tiny.gguf" "$models/gemma3-linear" "$models/gpt2-tied"; do
  check generate "$model" --prompt-ids 5,6 --max-new-tokens 4 --quiet
  check generate "$model" --prompt-ids 5,6 --max-new-tokens 4 --num-beams 2 --precision int8 --quiet
  check score "$model" --input "$work/docs.jsonl" --compare-precision --quiet
  check inspect "$model"
done
check shrink "$models/llama-tied-gqa" "$work/small" --layers 1 --quiet
check tokenize "$models/llama-tied-gqa" "The still drips."
echo "valgrind: no error"
