#!/bin/sh
# shellcheck disable=SC1091,SC2034,SC2154  # support.sh and recipe_support.sh set the variables
# `limbeck distill` from recipe to student: what it prints, what it leaves, how it stops and goes on.
. "$LIMBECK_SOURCE_DIR/tests/cli/support.sh"
. "$LIMBECK_SOURCE_DIR/tests/cli/recipe_support.sh"
weights() { sha256sum <"$1/model.safetensors"; }

# ---- a whole run, for people ----
run distill "$recipe"
exits 0
for word in "perplexity" "KL to teacher" "student before" "student after" "teacher's answer" \
  "limbeck generate $work/student" "vllm serve $work/student"; do
  out_has "$word"
done
err_has "teacher parameters"
case $err in *"step 2/"*" loss "*" kd "*" ce "*" lr "*" tok/s "*" left"*) ;; *) fail "$what: no plain log line: $err" ;; esac
[ -f "$work/student/config.json" ] || fail "no config.json in output_dir"
[ -f "$work/student/metrics.jsonl" ] || fail "no metrics.jsonl in output_dir"
whole=$(weights "$work/student")
[ "$whole" != "$(weights "$student")" ] || fail "the student did not learn"
run generate "$work/student" --prompt "the quick" -n 3 --quiet
exits 0

# the resolved recipe is the run
run distill "$work/student/recipe.resolved.yaml" output_dir="$work/again" --quiet
exits 0
[ "$(weights "$work/again")" = "$whole" ] || fail "recipe.resolved.yaml makes another student"
err_is_empty

# an earlier run is not overwritten by accident
run distill "$recipe"
[ "$code" != 0 ] || fail "$what: overwrote an earlier run"
err_has "overwrite_output_dir"

# ---- for programs ----
run distill "$recipe" overwrite_output_dir=true --json --quiet
exits 0
out_matches '\{"event":"(plan|phase|begin|step|log|eval|checkpoint|warning|end|result)"?.*\}|\{"event":.*\}'
out_has '{"event":"plan",'
out_has '{"event":"begin",'
out_has '"loss_kd":'
out_has '{"event":"checkpoint",'
printf '%s\n' "$out" | tail -n 1 | grep -q '^{"event":"result","interrupted":false,' || fail "$what: the last line is no result"
[ "$(weights "$work/student")" = "$whole" ] || fail "the same recipe makes another student"

# ---- without a teacher, without held-out documents ----
run distill "$recipe" teacher=none output_dir="$work/baseline" eval_fraction=0 --no-plan
exits 0
out_has "measured on training documents"
out_has "the student's answer"
case $out in *"KL to teacher"*" teacher "*) fail "$what: a teacher in the table" ;; esac

# ---- with a teacher that only measures: the same student as without one ----
baseline=$(weights "$work/baseline")
run distill "$recipe" alpha=0 output_dir="$work/measured" eval_fraction=0 --no-plan --json
exits 0
[ "$(weights "$work/measured")" = "$baseline" ] || fail "alpha=0 and teacher=none make different students"
printf '%s\n' "$out" | grep -qE '"after":\{"perplexity":[0-9.]+,"kl_to_teacher":[0-9]' || fail "$what: no KL: $out"
case $out in *'"loss_kd":'*) fail "$what: a teacher that only measures has a loss" ;; esac
for line in '- loss: cross entropy$' '- teacher: none$' '- measured against: '; do
  grep -q -e "$line" "$work/measured/README.md" || fail "its model card lacks '$line': $(cat "$work/measured/README.md")"
done

# ---- a run that fails says why, and shows how far it came ----
run distill "$recipe" learning_rate=1e30 max_grad_norm=0 warmup_steps=0 num_train_epochs=9 save_steps=0 \
  output_dir="$work/failed" --no-plan
exits 1
err_has "5 steps in a row"
err_has "the run until then is in $work/failed/report.html"
grep -q '"state": *"failed"' "$work/failed/run.json" || fail "run.json: $(cat "$work/failed/run.json")"
grep -q 'its state: failed: step' "$work/failed/report.html" || fail "report.html does not say that the run failed"

# ---- stopped, and going on: the same weights ----
"$LIMBECK" distill "$recipe" output_dir="$work/stopped" --json >"$work/out" 2>"$work/err" &
running=$!
tries=0
until grep -q '"event":"step","step":3' "$work/out" || [ "$tries" -ge 600 ]; do
  tries=$((tries + 1))
  sleep 0.05
done
kill -TERM "$running"
wait "$running"
code=$? err=$(cat "$work/err") out=$(cat "$work/out") what="distill, then SIGTERM"
if [ "$code" = 0 ]; then
  echo "the run was over before the signal came"
else
  exits 3
  err_has "limbeck distill $recipe output_dir=$work/stopped resume_from_checkpoint=true"
  run distill "$recipe" output_dir="$work/stopped" resume_from_checkpoint=true
  exits 0
fi
[ "$(weights "$work/stopped")" = "$whole" ] || fail "the resumed run ends in other weights"

# ---- on a terminal: a line that moves ----
if has_terminal; then
  script -qec "'$LIMBECK' distill '$recipe' output_dir='$work/shown' --no-plan" /dev/null \
    </dev/null >"$work/terminal" 2>&1
  out=$(tr '\r' '\n' <"$work/terminal")
  what="distill on a terminal"
  out_has "distil 100%|██████████| "
  out_has " loss "
fi
finish
