#!/bin/sh
# Students that a recipe makes: of random weights (student.config) and from the teacher
# (student.shrink). What is in output_dir/student-init, that nothing else stays behind, what a
# resumed run finds there, and a run that is killed again and again, also while the student is made.
# shellcheck disable=SC1091,SC2034,SC2154,SC2086  # support.sh and recipe_support.sh; lists of words
# Memory will do where there is some: killed processes lose nothing that they have written.
[ -n "${TMPDIR:-}" ] || [ ! -w /dev/shm ] || export TMPDIR=/dev/shm
. "$LIMBECK_SOURCE_DIR/tests/cli/support.sh"
. "$LIMBECK_SOURCE_DIR/tests/cli/recipe_support.sh"
shape="student.config.hidden_size=32 student.config.num_hidden_layers=2 student.config.num_attention_heads=4"
sed '/^student:/d; /^test:/d' "$recipe" >"$work/made.yaml"
made=$work/made.yaml
export TMPDIR="$work/tmp"
mkdir "$TMPDIR"

sum_of() { sha256sum <"$1/model.safetensors" | cut -d ' ' -f 1; }
same() {
  checks=$((checks + 1))
  [ "$(sum_of "$1")" = "$(sum_of "$2")" ] || fail "$what: the weights in $1 and $2 differ"
}
file_has() {
  checks=$((checks + 1))
  grep -qF -- "$2" "$1" || fail "$what: $1 lacks '$2': $(cat "$1")"
}
# Neither a temporary student nor an unfinished one.
nothing_left() {
  checks=$((checks + 1))
  left=$(ls -A "$TMPDIR")$(find "$work" -name '.student-init*')
  [ -z "$left" ] || fail "$what: left behind: $left"
}

# ---- random weights ----
run distill "$made" $shape output_dir="$work/new"
exits 0
out_has "student after"
err_has "tokens a student parameter"
nothing_left
for file in config.json model.safetensors tokenizer.json chat_template.jinja student.txt; do
  [ -f "$work/new/student-init/$file" ] || fail "no student-init/$file"
done
init=$work/new/student-init
for line in '"model_type": "llama"' '"hidden_size": 32' '"num_hidden_layers": 2' '"intermediate_size": 96'; do
  file_has "$init/config.json" "$line"
done
file_has "$init/student.txt" "random weights, seed 42"
file_has "$work/new/recipe.resolved.yaml" "    hidden_size: 32"
file_has "$work/new/README.md" "random weights"
run score "$work/new" --text "the quick brown fox"
exits 0

# the same student for any number of threads, also from the resolved recipe and a config.json
run distill "$made" $shape output_dir="$work/again" --threads 3 max_steps=1
same "$init" "$work/again/student-init"
run distill "$work/new/recipe.resolved.yaml" output_dir="$work/resolved" max_steps=1
exits 0
same "$init" "$work/resolved/student-init"
run distill "$made" student.config="$init/config.json" output_dir="$work/file" max_steps=1
exits 0
same "$init" "$work/file/student-init"
run distill "$made" $shape output_dir="$work/seed" max_steps=1 seed=43
exits 0
[ "$(sum_of "$init")" != "$(sum_of "$work/seed/student-init")" ] || fail "two seeds, one student"

# without a teacher: the baseline of that very student, and one of its own
run distill "$made" teacher=none student="$init" output_dir="$work/baseline"
exits 0
run distill "$made" teacher=none $shape student.config.model_type=gpt2 student.tokenizer="$student" output_dir="$work/alone"
exits 0
file_has "$work/alone/config.json" '"model_type": "gpt2"'
file_has "$work/alone/config.json" '"n_positions": 64' # data.max_length

# ---- nothing stays behind ----
rm -rf "$work/new2"
for verb in "plan" "plan --no-probe" "inspect" "verify" "bench step --repeat 2"; do
  run $verb "$made" $shape output_dir="$work/new2"
  exits 0
  nothing_left
  [ ! -e "$work/new2" ] || fail "$what: made output_dir"
done
run plan "$made" $shape --json
out_matches '.*"student_parameters":[0-9]+,.*"usual_tokens_per_parameter":20(\.0)?,.*'
run plan "$made" $shape
out_has "usual from random weights"
out_has "advice: the student begins with random weights"

# ---- a part of the teacher ----
run shrink "$teacher" "$work/half" --layers 1
exits 0
run distill "$made" student.shrink.layers=1 output_dir="$work/part"
exits 0
same "$work/half" "$work/part/student-init"
file_has "$work/part/student-init/student.txt" "student.shrink.layers: [1]"
run distill "$made" "student.shrink.layers=[0, 1]" student.shrink.dtype=bf16 output_dir="$work/whole" max_steps=1
exits 0
for word in quick brown fox; do echo "{\"text\": \"the $word jumps\"}"; done >"$work/calibration.jsonl"
# what is kept of widths is measured on the text, as `limbeck shrink` does
narrow="student.shrink.hidden_size=32 student.shrink.intermediate_size=16 student.shrink.layers=1"
run shrink "$teacher" "$work/narrow" --layers 1 --layer-selection influence --hidden 32 --ffn 16 \
  --calibration "$work/calibration.jsonl"
exits 0
run distill "$made" $narrow student.shrink.layer_selection=influence append_eos=false \
  student.shrink.calibration="$work/calibration.jsonl" output_dir="$work/slim" max_steps=1
exits 0
same "$work/narrow" "$work/slim/student-init"
run distill "$made" $narrow output_dir="$work/slim2" max_steps=1
exits 0
file_has "$work/slim2/student-init/config.json" '"hidden_size": 32'
# a GGUF that cannot be is refused before training: a global layer, then a sliding one
run distill "$made" teacher="$models/gemma3-softcap" student.shrink.layers=[5,6] gguf=f32 output_dir="$work/odd-windows"
exits 1
err_has "gguf: "
err_has "wants every n-th layer global"
checks=$((checks + 1))
[ ! -e "$work/odd-windows/metrics.jsonl" ] || fail "$what: it trained before it refused"
# fewer tokens: the teacher is cut alike
run distill "$made" student.shrink.vocab_from="$work/calibration.jsonl" output_dir="$work/words" max_steps=1
exits 0
[ -f "$work/words/student-init/vocab_map.json" ] || fail "$what: no vocab_map.json"
[ -f "$work/words/vocab_map.json" ] || fail "$what: the student has no vocab_map.json"
run compare --teacher "$teacher" --student "$work/words" --baseline "$teacher" --data "$work/calibration.jsonl" --json
exits 0
run plan "$made" student.shrink.layers=1
exits 0
out_has "advice: 1 of 2 layers are kept"
out_has "advice: 50 % of the weights in the teacher's layers are kept; SmolLM2-135M cut to 67 %"
# whatever is cut, the share is of what is left without the embedding; the evidence kept no less
config_of() { sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" "$teacher/config.json" | head -n 1; }
vocab=$(config_of vocab_size)
# share_is CHANNELS EVIDENCE: of the last plan; the embedding is the head, in both
share_is() {
  checks=$((checks + 1))
  share=$(printf '%s\n' "$out" | awk -v v="$vocab" -v h="$1" -v all="$(config_of hidden_size)" '
    match($0, /"teacher_parameters":[0-9]+/) { t = substr($0, RSTART + 21, RLENGTH - 21) }
    match($0, /"student_parameters":[0-9]+/) { s = substr($0, RSTART + 21, RLENGTH - 21) }
    END { printf "%.0f", 100 * (s - v * h) / (t - v * all) }')
  out_has "\"$share % of the weights in the teacher's layers are kept; SmolLM2-135M cut to $2"
}
run plan "$made" student.shrink.intermediate_size=44 --json --no-probe
exits 0
share_is 32 "87 % (26 of 30 layers) went from perplexity 17 to 30, before training"
run plan "$made" student.shrink.intermediate_size=16 --json --no-probe
exits 0
share_is 32 "67 % (20 of 30 layers)"
run plan "$made" student.shrink.layers=1 student.shrink.hidden_size=16 student.shrink.intermediate_size=16 --json --no-probe
exits 0
out_has "1 of 2 layers are kept"
share_is 16 "30 % (20 layers, 384 channels, 1024 neurons, 6 of 9 heads) went from perplexity 17 to 24,374, before training: cut less, distil, cut again\""
# a vocabulary costs nothing, nor does a whole copy, nor a cut of less than a fifth
for cut in student.shrink.vocab_from="$work/calibration.jsonl" student.shrink.layers="[0,1]" student.shrink.intermediate_size=48; do
  run plan "$made" "$cut" --json --no-probe
  exits 0
  checks=$((checks + 1))
  case $out in *"are kept"*) fail "$what: warns of nothing: $out" ;; esac
done
nothing_left

# ---- errors name the key ----
for odd in "num_attention_heads=5:cannot be split over num_attention_heads 5" \
  "model_type=lama:did you mean 'llama'?" "hidden_size=-1:want a whole number >= 1" \
  "vocab_size=10:vocab_size 10 is too small" "hidden_size=40000:GB of memory are free" \
  "num_hidden_layers=5000:want 1 to 4096" "hiden_size=3:student.config.hidden_size'?"; do
  run distill "$made" $shape "student.config.${odd%%:*}" output_dir="$work/odd"
  [ "$code" != 0 ] || fail "$what: exit 0"
  err_has "${odd#*:}"
  [ ! -e "$work/odd/student-init" ] || fail "$what: made a student"
  nothing_left
done
run distill "$made" $shape student.tokenizer="$work/nowhere" output_dir="$work/odd"
exits 1
err_has "student.tokenizer: "
run distill "$made" student.shrink.layers=7 output_dir="$work/odd"
exits 2
err_has "student.shrink: layers: "
run distill "$made" $shape student.shrink.layers=1
exits 2
err_has "want one of: a model, student.config, student.shrink"
run distill "$made"
exits 2
err_has "student is missing"
run distill "$made" teacher=none $shape output_dir="$work/odd"
exits 2
err_has "student-init"

# ---- going on ----
run distill "$made" $shape output_dir="$work/new" resume_from_checkpoint=true seed=43
exits 2
err_has "made from another seed, shape or tokenizer"
run distill "$made" $shape student.config.head_dim=4 output_dir="$work/new" resume_from_checkpoint=true
exits 2
err_has "made from another seed"
before=$(sum_of "$init")
printf 'x' >>"$init/student.txt"
run distill "$made" $shape output_dir="$work/new" resume_from_checkpoint=true
exits 2
rm -rf "$init" # a folder that is gone is made again, the same
run distill "$made" $shape output_dir="$work/new" resume_from_checkpoint=true
exits 0
[ "$(sum_of "$init")" = "$before" ] || fail "$what: another student"
run distill "$made" $shape output_dir="$work/new" overwrite_output_dir=true seed=43 max_steps=1
exits 0
same "$init" "$work/seed/student-init"

# somebody else's folder of that name is left alone
mkdir -p "$work/taken/student-init"
echo precious >"$work/taken/student-init/notes.txt"
run distill "$made" $shape output_dir="$work/taken"
exits 2
err_has "holds something else"
[ "$(cat "$work/taken/student-init/notes.txt")" = precious ] || fail "$what: another's file is gone"
# the environment, which the command line beats
export LIMBECK_STUDENT_CONFIG_HIDDEN_SIZE=16
run distill "$made" student.config.num_hidden_layers=1 student.config.num_attention_heads=2 output_dir="$work/env" max_steps=1
exits 0
file_has "$work/env/config.json" '"hidden_size": 16'
unset LIMBECK_STUDENT_CONFIG_HIDDEN_SIZE

# ---- killed ----
shape="$shape student.config.vocab_size=3000" # making it takes a moment
begin=$(date +%s%N)
run distill "$made" $shape output_dir="$work/unbroken" save_steps=1
exits 0
took=$((($(date +%s%N) - begin) / 1000000))
awk -v seed="${LIMBECK_SEED:-20260101}" -v most="$took" \
  'BEGIN { srand(seed); for (i = 0; i < 200; i++) printf "%.3f\n", rand() * most / 1000 + 0.001 }' >"$work/delays"
killed=0
while [ "$killed" -lt 12 ] && read -r delay; do
  timeout -s KILL "$delay" "$LIMBECK" distill "$made" --no-plan $shape output_dir="$work/killed" \
    save_steps=1 resume_from_checkpoint=true >"$work/out" 2>"$work/err"
  code=$? err=$(cat "$work/err") what="killed after $delay s"
  case $code in
    137 | 124) killed=$((killed + 1)) ;;
    0)
      same "$work/killed" "$work/unbroken"
      rm -rf "$work/killed"
      ;;
    *) exits 0 ;;
  esac
  [ "$failed" = 0 ] || break
done <"$work/delays"
run distill "$made" $shape output_dir="$work/killed" save_steps=1 resume_from_checkpoint=true
exits 0
same "$work/killed" "$work/unbroken"
same "$work/killed/student-init" "$work/unbroken/student-init"
[ "$killed" -eq 12 ] || [ "$failed" = 1 ] || fail "only $killed of 12 kills met a living run"
[ -z "$(find "$work/killed" -name '.student-init*')" ] || fail "an unfinished student is left"
finish
