#!/bin/sh
# A run that is interrupted and resumed ends in the same bytes as one that is not; so does one on
# another number of threads. What may not change in between is refused, and a broken checkpoint is
# passed over with a word.
# shellcheck disable=SC1091,SC2034,SC2154  # support.sh sets and reads the variables
. "$LIMBECK_SOURCE_DIR/tests/e2e/support.sh"
[ -f "$train/gpt2-student/model.safetensors" ] || { echo "no fixtures in $train"; exit 77; }

recipe "$work/job.yaml" 24 1
distil "$work/job.yaml" "$work/unbroken" save_total_limit=0
exits 0
unbroken=$(weights "$work/unbroken")
[ "$unbroken" != none ] || fail "the run left no model.safetensors: $err"
[ "$unbroken" != "$(weights "$train/gpt2-student")" ] || fail "nothing was learned"
clean "$work/unbroken"

distil "$work/job.yaml" "$work/again"
exits 0
same "$work/again" "the same run again"
LIMBECK_THREADS=1 run distill "$work/job.yaml" --no-plan "output_dir=$work/one_thread"
exits 0
same "$work/one_thread" "one thread"

# From every step, also in the middle of an epoch: the same weights, and the same line in the log.
# figures FOLDER STEP: what metrics.jsonl says of later steps, without the speed
figures() { sed 's/, "tokens_per_second": [^,}]*//' "$1/metrics.jsonl" | awk -F '[:,]' -v s="$2" '$2 > s'; }
step=1
while [ "$step" -lt 24 ]; do
  distil "$work/job.yaml" "$work/from" "resume_from_checkpoint=$work/unbroken/checkpoint-$step"
  exits 0
  same "$work/from" "resumed from step $step"
  checks=$((checks + 1))
  [ "$(figures "$work/from" "$step" | wc -l)" -eq $((24 - step)) ] || fail "metrics.jsonl lacks steps"
  [ "$(figures "$work/from" "$step")" = "$(figures "$work/unbroken" "$step")" ] ||
    fail "resumed from step $step: other figures than the unbroken run's"
  rm -rf "$work/from"
  step=$((step + 1))
done

# The newest one has lost a bit: the one before it is taken, and that is said.
cp -r "$work/unbroken" "$work/damaged"
rm -f "$work/damaged/model.safetensors"
last=$(newest "$work/damaged")
state=$work/damaged/checkpoint-$last/model.safetensors
size=$(wc -c <"$state")
printf '\377' | dd of="$state" bs=1 seek=$((size - 7)) conv=notrunc 2>"$work/dd" || fail "dd: $(cat "$work/dd")"
distil "$work/job.yaml" "$work/damaged" resume_from_checkpoint=true
exits 0
err_has "checkpoint-$last"
same "$work/damaged" "resumed past a damaged checkpoint"

# Another recipe is another run.
distil "$work/job.yaml" "$work/other" "resume_from_checkpoint=$work/unbroken/checkpoint-12" learning_rate=0.1
exits 2
err_has learning_rate

# So are other models under the same names: two ids of their tokenizers swapped.
for role in teacher student; do
  cp -r "$train/gpt2-$role" "$work/$role"
  sed 's/^      "#": 2,$/      "#": 3,/; s/^      "\$": 3,$/      "$": 2,/' "$train/gpt2-$role/tokenizer.json" \
    >"$work/$role/tokenizer.json"
done
distil "$work/job.yaml" "$work/other" "resume_from_checkpoint=$work/unbroken/checkpoint-12" \
  "teacher=$work/teacher" "student=$work/student"
exits 2
err_has "'tokenizer="

# Asked to go on where nothing is, it begins, and says so.
distil "$work/job.yaml" "$work/fresh" resume_from_checkpoint=true
exits 0
same "$work/fresh" "resumed from nothing"
grep -q "no checkpoint" "$work/fresh/metrics.jsonl" || fail "metrics.jsonl does not tell of the new beginning"

# SIGTERM: the step is finished, a checkpoint is there, exit 3, and it goes on from there.
for signal in TERM INT; do
  recipe "$work/long.yaml" 4000 0
  "$LIMBECK" distill "$work/long.yaml" --no-plan "output_dir=$work/$signal" >"$work/out" 2>"$work/err" &
  pid=$!
  tries=0
  while [ ! -s "$work/$signal/metrics.jsonl" ] && [ "$tries" -lt 600 ]; do
    tries=$((tries + 1))
    sleep 0.05
  done
  kill -s "$signal" "$pid"
  wait "$pid"
  code=$? out=$(cat "$work/out") err=$(cat "$work/err") what="distill, then SIG$signal"
  exits 3
  checks=$((checks + 1))
  step=$(newest "$work/$signal")
  [ "${step:-4000}" -lt 4000 ] || fail "$what: no checkpoint, or not interrupted: '$step'"
  clean "$work/$signal"
done
finish
