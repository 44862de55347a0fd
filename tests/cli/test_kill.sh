#!/bin/sh
# kill -9 at fifty random moments, also during saves (there is one at every step): the run always goes
# on from a whole checkpoint, and ends in the bytes of a run that nobody killed. Seeded; a failure
# repeats with LIMBECK_SEED. Then a second SIGINT, which leaves at once.
# shellcheck disable=SC1091,SC2034,SC2154  # support.sh sets and reads the variables
. "$LIMBECK_SOURCE_DIR/tests/e2e/support.sh"
[ -f "$train/gpt2-student/model.safetensors" ] || { echo "no fixtures in $train"; exit 77; }
kills=50
seed=${LIMBECK_SEED:-20260101}

recipe "$work/job.yaml" 8 1
begin=$(date +%s%N)
distil "$work/job.yaml" "$work/unbroken"
exits 0
took=$((($(date +%s%N) - begin) / 1000000))
unbroken=$(weights "$work/unbroken")
[ "$unbroken" != none ] || fail "the unbroken run left no student: $err"

# A delay in seconds for each attempt, from nothing to a little more than a whole run.
awk -v seed="$seed" -v n=$((kills * 8)) -v most="$took" \
  'BEGIN { srand(seed); for (i = 0; i < n; i++) printf "%.3f\n", rand() * most * 1.1 / 1000 + 0.001 }' >"$work/delays"

killed=0 finished=0
while [ "$killed" -lt "$kills" ] && read -r delay; do
  what="killed after $delay s (seed $seed)"
  timeout -s KILL "$delay" "$LIMBECK" distill "$work/job.yaml" --no-plan "output_dir=$work/killed" \
    resume_from_checkpoint=true >"$work/out" 2>"$work/err"
  code=$? err=$(cat "$work/err")
  case $code in
    137 | 124) killed=$((killed + 1)) ;;
    0) # it got to the end: compare, and begin anew
      finished=$((finished + 1))
      same "$work/killed" "$what, resumed until it was finished"
      clean "$work/killed"
      rm -rf "$work/killed"
      ;;
    *) exits 0 ;;
  esac
  [ "$failed" = 0 ] || break
done <"$work/delays"
distil "$work/job.yaml" "$work/killed" resume_from_checkpoint=true
exits 0
same "$work/killed" "after the last kill"
clean "$work/killed"
checks=$((checks + 1))
[ "$killed" -eq "$kills" ] || [ "$failed" = 1 ] || fail "only $killed of $kills kills met a living run"
echo "$killed kills, $((finished + 1)) finished runs, one run takes $took ms"

# One step of many micro-batches takes seconds: the first SIGINT waits for its end, the second does not.
i=0
while [ "$i" -lt 200 ]; do
  cat "$train/gpt2.jsonl"
  i=$((i + 1))
done >"$work/many.jsonl"
"$LIMBECK" distill "$work/job.yaml" --no-plan "train_file=$work/many.jsonl" "output_dir=$work/twice" \
  gradient_accumulation_steps=100000 max_steps=50 eval_fraction=0 >"$work/out" 2>"$work/err" &
pid=$!
while [ ! -d "$work/twice/checkpoint-1" ] && kill -0 "$pid" 2>"$work/gone"; do sleep 0.05; done
sleep 0.3 # into the second step
kill -INT "$pid" || fail "it has ended: $(cat "$work/err")"
sleep 0.2 # or both might arrive as one
kill -INT "$pid" || fail "one SIGINT was enough within a step"
wait "$pid"
code=$? out=$(cat "$work/out") err=$(cat "$work/err") what="distill, then SIGINT twice"
[ "$code" != 0 ] || fail "$what: exit 0"
checks=$((checks + 1))
last=$(newest "$work/twice")
(cd "$work/twice/checkpoint-${last:-0}" && [ -f manifest.json ]) || fail "$what: no whole checkpoint"
[ "${last:-0}" = 1 ] || fail "$what: it ended the step first, and saved checkpoint-$last"
finish
