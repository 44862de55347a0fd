#!/bin/sh
# Makes examples/demo/teacher anew: tokenizer, then two passes over 60,000 texts each. About 20 minutes
# on two cores. The same files come out on machines whose kernels are the same (limbeck doctor).
#   usage: tools/make_demo_teacher.sh LIMBECK DEMO_TEXTS FOLDER      then copy FOLDER/teacher
set -eu
[ $# = 3 ] || { echo "usage: $0 LIMBECK DEMO_TEXTS FOLDER" >&2; exit 2; }
limbeck=$1 demo_texts=$2 out=$3
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
mkdir -p "$out/1" "$out/2"
"$demo_texts" make "$out/1" 60000 1 100
"$demo_texts" make "$out/2" 60000 2 100
head -n 8000 "$out/1/train.jsonl" >"$out/tokenizer.jsonl"
python3 "$root/tools/make_demo_tokenizer.py" "$out/tokenizer.jsonl" "$out/tokenizer" 1024
head -n 400 "$out/1/held-out.jsonl" >"$out/held-out.jsonl"
learn() {
  "$limbeck" distill "$root/examples/demo/teacher.yaml" data.eval="$out/held-out.jsonl" --no-plan "$@"
}
learn student.tokenizer="$out/tokenizer" data.train="$out/1/train.jsonl" output_dir="$out/first"
learn student="$out/first" data.train="$out/2/train.jsonl" learning_rate=1.5e-3 seed=2 output_dir="$out/second"
mkdir -p "$out/teacher"
for file in config.json model.safetensors tokenizer.json tokenizer_config.json; do
  cp "$out/second/$file" "$out/teacher/$file"
done
(cd "$out/teacher" && sha256sum ./*)
