#!/bin/sh
# Twice the text costs at most 2.3 times as many instructions: tokenizers of every kind, JSON Lines,
# chat templates. valgrind counts them, so a busy machine changes nothing; what an empty text costs
# (opening) is taken away. Left out where valgrind is not installed.
# shellcheck disable=SC1091,SC2154  # support.sh sets the variables
. "$LIMBECK_SOURCE_DIR/tests/cli/support.sh"
need_models
command -v valgrind >/dev/null || { echo "valgrind is not installed: nothing is counted"; exit 77; }
"$LIMBECK" doctor 2>/dev/null | grep -q sanitizer && { echo "a sanitizer build"; exit 77; }
export GOMP_SPINCOUNT=1000 OMP_NUM_THREADS=1 LIMBECK_KERNELS=portable

# text KIND BYTES
text() {
  case $1 in
  letter) yes a | tr -d '\n' ;;
  space) yes ' ' | tr -d '\n' ;;
  digits) awk 'BEGIN { for (x = 7;; x = (x * 5 + 3) % 65537) printf "%d", x }' ;;
  words) awk 'BEGIN { for (x = 7;; x = (x * 75 + 74) % 65537)
    printf "%s%c%c%c", x % 3 ? "" : " ", 97 + x % 26, 97 + x % 7, 97 + x % 23 }' ;;
  lines) awk 'BEGIN { for (;;) printf "A line; (with) marks, 12 + 3.\\n" }' ;;
  esac | head -c "$2"
}

# count TOKENIZER ARGUMENT...: instructions of `limbeck tokenize`, standard input is passed on
count() {
  valgrind --tool=callgrind --callgrind-out-file=/dev/null "$LIMBECK" tokenize "$@" --json --quiet 2>"$work/err" \
    >"$work/out" || fail "$*: $(tail -n 3 "$work/err")"
  sed -n 's/.*Collected : \([0-9]*\).*/\1/p' "$work/err"
}

# line KIND BYTES: a line of JSON Lines
line() { printf '{"text":"%s"}\n' "$(text "$1" "$2")"; }
turns() { # N: a conversation of so many messages
  awk -v n="$1" 'BEGIN { printf "{\"messages\":["
    for (i = 0; i < n; i++) printf "%s{\"role\":\"%s\",\"content\":\"Say %d.\"}", i ? "," : "", i % 2 ? "assistant" : "user", i
    print "]}" }'
}

# grows WHAT EMPTY ONCE TWICE
grows() {
  checks=$((checks + 1))
  awk -v e="$2" -v a="$3" -v b="$4" 'BEGIN { exit !(e > 0 && a > e && b - e <= 2.3 * (a - e)) }' ||
    fail "$1: $2 instructions for nothing, $3 for a text, $4 for twice that"
}

size=16384
fixtures=$LIMBECK_SOURCE_DIR/tests/golden/data/tokenizers
for name in byte_level byte_fallback_gemma unigram_always o200k; do
  tokenizer=$fixtures/$name.json
  [ -f "$tokenizer" ] || fail "no $tokenizer"
  empty=$(line letter 0 | count "$tokenizer")
  for kind in letter space digits words lines; do
    once=$(line $kind $size | count "$tokenizer")
    twice=$(line $kind $((2 * size)) | count "$tokenizer")
    grows "$name, $kind" "$empty" "$once" "$twice"
  done
done
grows "$name, many lines" "$empty" \
  "$(for _ in $(seq 200); do line words 40; done | count "$tokenizer")" \
  "$(for _ in $(seq 400); do line words 40; done | count "$tokenizer")"
grows "chat" "$(turns 1 | count "$llama" --template chatml)" "$(turns 201 | count "$llama" --template chatml)" \
  "$(turns 401 | count "$llama" --template chatml)"
finish
