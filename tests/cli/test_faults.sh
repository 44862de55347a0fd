#!/bin/sh
# Every verb, on a tiny model, while allocations fail from the n-th on, or the n-th system call: it
# ends by itself with an exit code of ours, says why, gives all memory and files back, and leaves no
# half an output. LIMBECK_FAULT_STEPS=all walks through every n; else about that many, spread.
# shellcheck disable=SC1091,SC2154  # support.sh sets the variables
. "$LIMBECK_SOURCE_DIR/tests/cli/support.sh"
. "$LIMBECK_SOURCE_DIR/tests/cli/recipe_support.sh"
steps=${LIMBECK_FAULT_STEPS:-12}
export OMP_NUM_THREADS=1 GOMP_SPINCOUNT=1000 LIMBECK_CACHE="$work/cache"
report=$work/report
printf 'The still drips.\nSlowly.\n' >"$work/text.txt"
printf '{"text":"The still drips."}\n{"ids":[5,6,7,8]}\n' >"$work/docs.jsonl"

# faulty KIND N ARGUMENT...: sets $code and $err; the report holds what was counted
faulty() {
  kind=$1 n=$2
  shift 2
  rm -rf "$report" "$work/made" "$work/student"
  env "LIMBECK_FAULT_$kind=$n" LIMBECK_FAULT_REPORT="$report" "$LIMBECK_FAULTY" "$@" \
    </dev/null >"$work/out" 2>"$work/err"
  code=$?
  checks=$((checks + 1))
}

# What a verb made is whole, or not there at all.
look_at_output() {
  [ -e "$work/made" ] || return 0
  "$LIMBECK" inspect "$work/made" >/dev/null 2>&1 || fail "$1: half an output: $(ls "$work/made")"
}

check() {
  [ "$code" -le 3 ] || fail "$1: exit $code: $(cat "$work/err")"
  [ "$code" = 0 ] || [ -s "$work/err" ] || fail "$1: failed without a word"
  grep -q ' left 0$' "$report" || fail "$1: not given back: $(cat "$report" 2>&1)"
  [ "$code" != 0 ] || [ "$look" = no ] || [ -e "$work/made" ] || fail "$1: success without output"
  look_at_output "$1"
}

# walk ARGUMENT...: a verb that succeeds when nothing fails
walk() {
  look=no
  for word in "$@"; do [ "$word" != "$work/made" ] || look=yes; done
  for kind in ALLOCATION CALL; do
    faulty "$kind" 0 "$@"
    [ "$code" = 0 ] || fail "$*: without a fault: $(cat "$work/err")"
    check "$* (no fault)"
    total=$(sed 's/calls \([0-9]*\) .*/\1/' "$report")
    [ "$steps" != all ] && step=$((total / steps + 1)) || step=1
    n=1
    while [ "$n" -le "$total" ]; do
      faulty "$kind" "$n" "$@"
      check "$* ($kind $n of $total)"
      n=$((n + step))
    done
  done
}

"$LIMBECK" convert "$llama" "$work/tiny.gguf" --quiet || fail "no GGUF to work with"
walk help generate
walk version
walk completion bash
walk doctor
walk inspect "$llama"
walk inspect "$work/tiny.gguf"
walk tokenize "$llama" "The still drips."
walk generate "$llama" --prompt-ids 5,6 --max-new-tokens 3
walk generate "$work/tiny.gguf" --prompt-ids 5,6 --max-new-tokens 3 --num-beams 2
walk generate "$llama" --prompt-ids 5,6 --max-new-tokens 3 --precision int8
walk score "$llama" --input "$work/docs.jsonl"
walk score "$llama" --input "$work/docs.jsonl" --compare-precision
walk convert "$llama" "$work/made" --type bf16
walk shrink "$llama" "$work/made" --layers 1
walk shrink "$llama" "$work/made" --layers 1 --hidden 32 --calibration "$work/docs.jsonl"
walk shrink "$llama" "$work/made" --vocab-from "$work/text.txt"
walk compare --teacher "$llama" --student "$llama" --data "$work/text.txt" --prompt "The still" -n 2
mkdir "$work/run"
echo "{\"step\": 1, \"loss\": 2.5}" >"$work/run/metrics.jsonl"
walk report "$work/run"
walk bench tokenize "$llama" --input "$work/text.txt" --repeat 1
[ "$steps" = all ] && steps=200 || steps=4 # a run takes a second and has thousands of calls
walk plan "$recipe"
walk verify "$recipe"
walk distill "$recipe"
sed '/^student:/d; /^test:/d' "$recipe" >"$work/made.yaml"
walk distill "$work/made.yaml" student.shrink.layers=1 max_steps=1
walk distill "$work/made.yaml" student.config.hidden_size=32 student.config.num_hidden_layers=1 \
  student.config.num_attention_heads=4 max_steps=1
finish
