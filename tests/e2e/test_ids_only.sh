#!/bin/sh
# Documents that are ids already need no tokenizer anywhere: the same student comes out, to the bit,
# as with one. Text without a tokenizer is refused.
# shellcheck disable=SC1091,SC2034,SC2154  # support.sh sets and reads the variables
. "$LIMBECK_SOURCE_DIR/tests/e2e/support.sh"
[ -f "$train/llama-student/model.safetensors" ] || { echo "no fixtures in $train"; exit 77; }

for role in teacher student; do
  mkdir "$work/$role"
  cp "$train/llama-$role/config.json" "$train/llama-$role/model.safetensors" "$work/$role"
done
recipe "$work/job.yaml" 6 0
distil "$work/job.yaml" "$work/with" "train_file=$train/llama.jsonl" \
  "teacher=$train/llama-teacher" "student=$train/llama-student"
exits 0
unbroken=$(weights "$work/with")
distil "$work/job.yaml" "$work/without" "train_file=$train/llama.jsonl" \
  "teacher=$work/teacher" "student=$work/student"
exits 0
[ "$unbroken" != none ] || fail "no student"
same "$work/without" "without tokenizers"

echo '{"text": "The still drips slowly."}' >"$work/text.jsonl"
distil "$work/job.yaml" "$work/text" "train_file=$work/text.jsonl" "teacher=$work/teacher" \
  "student=$work/student" eval_fraction=0
[ "$code" != 0 ] || fail "text was accepted without a tokenizer"
err_has tokenizer
finish
