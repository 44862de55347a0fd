#!/bin/sh
# A million bytes of one character tokenize within two seconds of processor time, opening included:
# nothing in a tokenizer grows faster than its text. (A sanitizer build gets a minute.) Also with
# the real tokenizers in LIMBECK_SHARED_TOKENIZERS or ../shared/tokenizers, where they are.
# shellcheck disable=SC1091,SC2154,SC3045  # support.sh sets the variables; dash has ulimit -t
. "$LIMBECK_SOURCE_DIR/tests/cli/support.sh"
need_models

seconds=2
"$LIMBECK" doctor 2>/dev/null | grep -Eq 'sanitizer|debug build' && seconds=60
for c in a ' ' '^' 'é' '\n'; do
  {
    printf '{"text":"'
    yes "$c" | head -n $((1000000 / $(printf %s "$c" | wc -c))) | tr -d '\n'
    printf '"}\n'
  } >"$work/$checks.jsonl"
  checks=$((checks + 1))
done

fixtures=$LIMBECK_SOURCE_DIR/tests/golden/data/tokenizers
for tokenizer in "$fixtures"/byte_level.json "$fixtures"/byte_fallback_gemma.json \
  "$fixtures"/unigram*.json "$models"/gemma3-linear "$models"/gpt2-tied \
  "${LIMBECK_SHARED_TOKENIZERS:-$LIMBECK_SOURCE_DIR/../shared/tokenizers}"/*; do
  case $tokenizer in *.cases.json) continue ;; esac
  [ -e "$tokenizer" ] || continue
  for text in "$work"/[0-9]*.jsonl; do
    checks=$((checks + 1))
    (
      ulimit -t "$seconds"
      exec "$LIMBECK" tokenize "$tokenizer" --input "$text" --json --quiet
    ) >"$work/out" 2>"$work/err" ||
      fail "$tokenizer, $(head -c 30 "$text")...: exit $?: $(head -c 300 "$work/err")"
    [ -s "$work/out" ] || fail "$tokenizer: no ids of $(head -c 30 "$text")"
  done
done
finish
