#!/bin/sh
# Settings that only change how numbers are computed: recomputed activations give the same bits,
# products in bfloat16 a held-out loss within one per cent of float32's.
# shellcheck disable=SC1091,SC2034,SC2154  # support.sh sets and reads the variables
. "$LIMBECK_SOURCE_DIR/tests/e2e/support.sh"
[ -f "$train/gpt2-student/model.safetensors" ] || { echo "no fixtures in $train"; exit 77; }

recipe "$work/job.yaml" 40 0
distil "$work/job.yaml" "$work/f32" precision=f32 teacher_precision=f32 eval_steps=40 dropout=off
exits 0
unbroken=$(weights "$work/f32")
distil "$work/job.yaml" "$work/again" precision=f32 teacher_precision=f32 eval_steps=40 dropout=off \
  gradient_checkpointing=true
exits 0
same "$work/again" "activations computed again"
distil "$work/job.yaml" "$work/bf16" precision=bf16 teacher_precision=bf16 eval_steps=40 dropout=off
exits 0

# held_out FOLDER: the last eval_loss
held_out() { sed -n 's/.*"eval_loss": \([0-9.e+-]*\).*/\1/p' "$1/metrics.jsonl" | tail -n 1; }
f32=$(held_out "$work/f32") bf16=$(held_out "$work/bf16")
echo "held-out loss: $f32 in f32, $bf16 in bf16"
[ "$(weights "$work/bf16")" != "$unbroken" ] ||
  echo "this machine's kernels compute bf16 as f32: the same student; nothing is shown here"
checks=$((checks + 1))
awk -v a="$f32" -v b="$bf16" 'BEGIN { off = b / a - 1; exit !(a > 0 && off < 0.01 && off > -0.01) }' ||
  fail "held-out loss: $f32 in f32, $bf16 in bf16; want within 1 %"

# a teacher of 8-bit integers: verify measures it, the student learns the same
distil "$work/job.yaml" "$work/int8" precision=f32 teacher_precision=int8 eval_steps=40 dropout=off
exits 0
int8=$(held_out "$work/int8")
checks=$((checks + 1))
awk -v a="$f32" -v b="$int8" 'BEGIN { off = b / a - 1; exit !(a > 0 && b != a && off < 0.01 && off > -0.01) }' ||
  fail "held-out loss: $f32 with a teacher in f32, $int8 in int8; want another one within 1 %"
run verify "$work/job.yaml" teacher_precision=int8
out_has "KL(f32 || int8)"
run verify "$work/job.yaml" teacher_precision=int8 teacher_precision_max_kl=0
exits 1
out_has "want <= 0)"
finish
