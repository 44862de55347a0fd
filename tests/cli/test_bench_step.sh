#!/bin/sh
# shellcheck disable=SC1091,SC2154  # support.sh and recipe_support.sh set the variables
# `limbeck bench step`: the parts of a training step, their products counted by hand, nothing kept.
. "$LIMBECK_SOURCE_DIR/tests/cli/support.sh"
. "$LIMBECK_SOURCE_DIR/tests/cli/recipe_support.sh"

run bench step "$recipe" --repeat 2
exits 0
for word in part teacher student head backward optimizer products attention losses update \
  "loading, zeroing, the tape" "tokens/s" "of the step" "student: gradients" "teacher: weights" \
  "most that the process held"; do
  out_has "$word"
done
[ ! -e "$work/student" ] || fail "bench step wrote into output_dir"
[ -z "$(find "$work" -name '.limbeck*')" ] || fail "bench step left a file behind"

run bench step "$recipe" --repeat 2 --json
exits 0
out_matches "\{\"bench\":\"step\",\"tokens_per_second\":[0-9.e+]+,\"peak_memory_bytes\":[0-9]+,\"precision\":\"f32\",\"teacher_precision\":\"f32\",\"threads\":[0-9]+,\"tokens\":[0-9]+,\"repeats\":2,.*\}"
for key in '"median":' '"spread":' '"share_of_bound":' '"products":{"f32":{"gflop":' \
  '"part":"teacher","work":"products"' '"bytes":{"student: weights":'; do
  out_has "$key"
done

# Of the products of a step: gradients of the weights and of what went in are twice the forward's.
# Of two documents without a teacher: the layers' forward is a third of all.
gflop_of() { # PART
  printf '%s\n' "$out" | sed "s/.*\"part\":\"$1\",\"work\":\"products\",\"calls\":[0-9]*,\"seconds\":[^,]*,\"gflop\":\([^,]*\),.*/\1/"
}
printf '{"input_ids":[1,2,3,4,5,6,7,8]}\n{"input_ids":[8,7,6,5,4,3,2,1]}\n' >"$work/even.jsonl"
even="teacher=none train=$work/even.jsonl eval_fraction=0 per_device_train_batch_size=1 gradient_accumulation_steps=1"
# shellcheck disable=SC2086 # words
run bench step "$recipe" $even --repeat 1 --json
exits 0
out_has '"tokens":16,'
case $out in *'"part":"teacher"'*) fail "$what: a teacher where there is none" ;; esac
checks=$((checks + 2))
awk -v a="$(gflop_of student)" -v b="$(gflop_of backward)" \
  'BEGIN { exit !(a > 0 && b > 1.999 * a && b < 2.001 * a) }' ||
  fail "$what: products of $(gflop_of student) GFLOP forward, $(gflop_of backward) backward"

run bench step "$recipe" --repeat 1 --csv
exits 0
out_has "part,work,threads,calls,seconds,gflop,least_seconds,share_of_step"
out_has "step,all,"

run bench step
exits 2
err_has "RECIPE is missing"
run bench step "$work/nothing.yaml"
exits 1
err_has "nothing.yaml"
run bench step "$recipe" learning_rat=1
exits 2
run bench prompt "$llama" learning_rate=1
exits 2
err_has "only step knows a recipe's keys"
finish
