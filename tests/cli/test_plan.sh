#!/bin/sh
# shellcheck disable=SC1091,SC2154  # support.sh and recipe_support.sh set the variables
# `limbeck plan`: what a run needs, before it starts.
. "$LIMBECK_SOURCE_DIR/tests/cli/support.sh"
. "$LIMBECK_SOURCE_DIR/tests/cli/recipe_support.sh"

run plan "$recipe"
exits 0
for word in "teacher computes in" "student computes in" "teacher parameters" "student parameters" "the teacher is" "format" "trained tokens" \
  "held-out documents" "steps an epoch" "tokens a second" "estimated time" together needed; do
  out_has "$word"
done
[ ! -e "$work/student" ] || fail "plan wrote into output_dir"
[ -z "$(find "$work" -name '.limbeck*')" ] || fail "plan left a file behind"
run plan "$recipe" --no-probe output_dir="$work/a/b/c"
exits 0
[ ! -e "$work/a" ] || fail "plan made output_dir"
(cd "$work" && "$LIMBECK" plan "$recipe" --no-probe -q output_dir=new >/dev/null) || fail "plan with a bare output_dir"

run plan "$recipe" --json
exits 0
out_matches "\{\"teacher_parameters\":[0-9]+,\"student_parameters\":[0-9]+,.*\"fits\":true\}"
out_has '"data_format":"text","train_on":"all","documents":21,'
out_has '"eval_documents":3,'
# twice the epochs, twice the steps
steps_of() { printf '%s\n' "$out" | sed 's/.*"steps":\([0-9]*\).*/\1/'; }
steps=$(steps_of)
run plan "$recipe" --json num_train_epochs=4 --no-probe
exits 0
[ "$(steps_of)" = $((2 * steps)) ] || fail "$what: $(steps_of) steps, want twice $steps"
out_has '"tokens_per_second":null'
out_has '"teacher_precision":"auto","student_precision":"auto"'
run plan "$recipe" --json max_steps=7 --no-probe
[ "$(steps_of)" = 7 ] || fail "$what: $(steps_of) steps, want 7"

# the warm-up is longer than the run, and nothing is held out: advice, not an error
run plan "$recipe" warmup_steps=100000 eval_fraction=0 --no-probe
exits 0
out_has "advice: warmup_steps"

# what cannot fit is refused, with what would help: here, a checkpoint of each of a billion steps
huge="num_train_epochs=100000000 save_steps=1 save_total_limit=1000000000"
# shellcheck disable=SC2086 # words
run plan "$recipe" $huge --no-probe
exits 1
out_has "together"
err_has "this run does not fit: it needs"
err_has "of disk"
err_has "save_total_limit"
# shellcheck disable=SC2086 # words
run plan "$recipe" $huge --no-probe --json
exits 1
out_has '"fits":false'
# shellcheck disable=SC2086 # words
run distill "$recipe" $huge
exits 1
err_has "What would help: save_total_limit=1"
[ -z "$(find "$work/student" -name '*.safetensors')" ] || fail "a run that does not fit was started"
rm -rf "$work/student"

# without a teacher; without a file
run plan "$recipe" teacher=none --no-probe --json
exits 0
out_has '"teacher_parameters":0,'
run plan teacher=none student="$student" train="$texts" max_length=64 --no-probe --json
exits 0
out_has '"documents":24,'

# what is not there
run plan "$recipe" train="$work/none.jsonl"
exits 1
err_has "none.jsonl"
run plan "$recipe" student="$work/none"
err_has "none"
[ "$code" != 0 ] || fail "$what: exit 0"
finish
