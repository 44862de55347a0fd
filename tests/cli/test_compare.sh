#!/bin/sh
# `limbeck compare`: what must be so for any models, the figures beside those of `limbeck score`, and
# what it refuses.
# shellcheck disable=SC1091,SC2154  # support.sh sets the variables
. "$LIMBECK_SOURCE_DIR/tests/cli/support.sh"
need_models
other=$models/llama-llama3-rope
i=0
while [ "$i" -lt 12 ]; do
  echo "{\"text\": \"document $i: the quick brown fox jumps over the lazy dog, $i times.\"}"
  i=$((i + 1))
done >"$work/texts.jsonl"

# figure MODEL KEY: of the last --json
figure() { printf '%s\n' "$out" | sed -n "s/.*\"$1\":{[^}]*\"$2\":\\([-0-9.e+]*\\|null\\)[,}].*/\\1/p"; }
near() { # near FOUND WANTED TOLERANCE WHAT
  checks=$((checks + 1))
  awk -v a="$1" -v b="$2" -v t="$3" 'BEGIN { d = a - b; exit !((d < 0 ? -d : d) <= t) }' || fail "$4: found $1, want $2"
}

# ---- a model beside itself ----
run compare --teacher "$llama" --student "$llama" --data "$work/texts.jsonl" --json
exits 0
near "$(figure student forward_kl)" 0 1e-6 "KL to itself"
near "$(figure student reverse_kl)" 0 1e-6 "reverse KL to itself"
near "$(figure student agreement)" 1 0 "agreement with itself"
near "$(figure student perplexity)" "$(figure teacher perplexity)" 1e-3 "perplexities of the same"
near "$(figure student calibration_error)" "$(figure teacher calibration_error)" 1e-9 "calibration of the same"
out_has '"log_perplexity_gain":null'

# ---- three models ----
run compare --teacher "$other" --student "$llama" --baseline "$other" --data "$work/texts.jsonl" --json --prompt "the quick" -n 4
exits 0
out_has '"documents":12,'
out_has '"prompts":["the quick"]'
near "$(figure baseline agreement)" 1 0 "the baseline is the teacher"
perplexity=$(figure student perplexity) worse=$(figure baseline perplexity)
gain=$(printf '%s\n' "$out" | sed -n 's/.*"log_perplexity_gain":\([-0-9.e+]*\),.*/\1/p')
near "$gain" "$(awk -v a="$perplexity" -v b="$worse" 'BEGIN { print log(b) - log(a) }')" 1e-4 "the gain"

# ---- how sure the KL is ----
for word in forward reverse; do
  checks=$((checks + 1))
  awk -v e="$(figure student "${word}_kl_error")" 'BEGIN { exit !(e > 0 && e < 1) }' || fail "$what: no error of the $word KL: $out"
  near "$(figure baseline "${word}_kl_error")" 0 1e-6 "error of the $word KL of the teacher itself"
  # the baseline is the teacher, whose KL is 0: the difference is the student's KL, and so is its error
  gain=$(printf '%s\n' "$out" | sed -n "s/.*\"${word}_kl_gain\":\([-0-9.e+]*\),.*/\1/p")
  near "$gain" "-$(figure student "${word}_kl")" 1e-6 "the difference of the $word KL"
  error=$(printf '%s\n' "$out" | sed -n "s/.*\"${word}_kl_gain_error\":\([-0-9.e+]*\)[,}].*/\1/p")
  near "$error" "$(figure student "${word}_kl_error")" 1e-6 "the error of that difference"
done
head -n 1 "$work/texts.jsonl" >"$work/one.jsonl"
run compare --teacher "$other" --student "$llama" --baseline "$other" --data "$work/one.jsonl" --json
exits 0
out_has '"forward_kl_error":null'
out_has '"forward_kl_gain_error":null'
run compare --student "$llama" --baseline "$other" --data "$work/texts.jsonl" --json
exits 0
out_has '"forward_kl_error":null'
out_has '"forward_kl_gain":null'

# ---- any number of threads ----
one=$(LIMBECK_THREADS=1 "$LIMBECK" compare --teacher "$other" --student "$llama" --data "$work/texts.jsonl" --json | sed 's/"[a-z]*_tokens_per_second":[^,]*,//g')
two=$("$LIMBECK" compare --teacher "$other" --student "$llama" --data "$work/texts.jsonl" --json | sed 's/"[a-z]*_tokens_per_second":[^,]*,//g')
checks=$((checks + 1))
[ "$one" = "$two" ] || fail "figures depend on the number of threads: $one $two"

# ---- beside `limbeck score`, which knows nothing of all this ----
"$LIMBECK" score "$llama" --input "$work/texts.jsonl" --no-special --top 1 --json >"$work/scores"
# accuracy and calibration from its log-probabilities: a line holds ids, logprobs, argmax, ..., top
awk '
  function list(name,   rest, end) {
    rest = substr($0, index($0, "\"" name "\":[") + length(name) + 4)
    end = index(rest, "]")
    return substr(rest, 1, end - 1)
  }
  {
    n = split(list("ids"), ids, ",")
    split(list("logprobs"), logprobs, ",")
    split(list("argmax"), best, ",")
    rest = substr($0, index($0, "\"top\":"))
    m = 0
    while (match(rest, /-?[0-9]+\.[0-9]+(e-?[0-9]+)?/)) { top[++m] = substr(rest, RSTART, RLENGTH); rest = substr(rest, RSTART + RLENGTH) }
    for (t = 1; t < n; t++) {
      p = exp(top[t]); b = int(p * 15); if (b > 14) b = 14
      hit = best[t] == ids[t + 1]
      count++; right += hit; nll -= logprobs[t + 1]; conf[b] += p; hits[b] += hit
    }
  }
  END {
    for (b = 0; b < 15; b++) { d = hits[b] - conf[b]; error += d < 0 ? -d : d }
    printf "%.6f %.6f %.6f %d\n", exp(nll / count), right / count, error / count, count
  }' "$work/scores" >"$work/expected"
read -r expected_perplexity expected_accuracy expected_error expected_count <"$work/expected"
run compare --teacher "$other" --student "$llama" --data "$work/plain.jsonl" --json
exits 1
err_has "plain.jsonl"
# documents of ids, so that nobody adds an end token
sed 's/.*"ids":\(\[[0-9,]*\]\).*/{"input_ids":\1}/' "$work/scores" >"$work/ids.jsonl"
run compare --teacher "$other" --student "$llama" --data "$work/ids.jsonl" --json
exits 0
out_has "\"measured_tokens\":$expected_count,"
near "$(figure student perplexity)" "$expected_perplexity" "$(awk -v p="$expected_perplexity" 'BEGIN { print 1e-4 * p }')" "perplexity"
near "$(figure student accuracy)" "$expected_accuracy" 1e-6 "accuracy"
near "$(figure student calibration_error)" "$expected_error" 1e-5 "calibration error"

# ---- for people ----
run compare --teacher "$other" --student "$llama" --baseline "$other" --data "$work/texts.jsonl" -p "the quick" -n 4
exits 0
for word in teacher student baseline perplexity "KL(teacher || it)" "  standard error" "calibration error" "12 documents" prompt "the baseline is nearer to the teacher, by"; do out_has "$word"; done
[ "$(printf '%s\n' "$out" | awk 'length > 110' | wc -l)" = 0 ] || fail "long lines: $out"
run compare --student "$llama" --baseline "$llama" --data "$work/texts.jsonl"
exits 0
out_has "cannot be told apart"
case $out in *KL*) fail "$what: tells of a teacher that is not there" ;; esac

# ---- what is refused ----
run compare --teacher "$other" --data "$work/texts.jsonl"
exits 2
err_has "want --student"
run compare --student "$llama" --teacher "$other"
exits 2
err_has "want --data"
run compare --student "$llama" --data "$work/texts.jsonl"
[ "$code" != 0 ] || fail "compared a student with nothing"
err_has "a teacher or a baseline"
run compare --student "$llama" --teacher "$work/nowhere" --data "$work/texts.jsonl"
exits 1
err_has "teacher: "
run compare --student "$llama" --teacher "$other" --data "$work/nowhere.jsonl"
exits 1
err_has "nowhere.jsonl"
: >"$work/empty.jsonl"
run compare --student "$llama" --teacher "$other" --data "$work/empty.jsonl"
[ "$code" != 0 ] || fail "compared on nothing"
err_has "empty.jsonl"
# ---- prompts from a file ----
printf '{"prompt": "the brown"}\n\n{"text": "a fox"}\n' >"$work/prompts.jsonl"
run compare --teacher "$other" --student "$llama" --data "$work/texts.jsonl" --json -p first --prompts "$work/prompts.jsonl" -n 2
exits 0
out_has '"prompts":["first","the brown","a fox"]'
echo '{"question": "x"}' >>"$work/prompts.jsonl"
run compare --teacher "$other" --student "$llama" --data "$work/texts.jsonl" --prompts "$work/prompts.jsonl"
exits 1
err_has 'prompts.jsonl:4: want {"prompt": "..."} or {"text": "..."}, found neither'
# refused FILE CONTENT MESSAGE: as printf's format
refused() {
  # shellcheck disable=SC2059
  printf "$2" >"$work/$1"
  run compare --teacher "$other" --student "$llama" --data "$work/texts.jsonl" --prompts "$work/$1"
  exits 1
  err_has "$1$3"
}
refused number.jsonl '{"text": "a"}\n{"prompt": 5}\n' ':2: prompt: want a string, found a number'
refused nul.jsonl '{"text": "a\\u0000b"}\n' ':1: text: want text, found a NUL character'
refused words.jsonl 'the brown\n' ':1: not JSON'
refused empty.jsonl '\n' ': want a prompt a line, found none'
refused empty.txt '' ': want a prompt a line, found none'
refused nul.txt 'the fox\na\000b\n' ':2: want text, found a NUL character'
refused latin.txt 'the fox\n\ncaf\351\n' ':3: want UTF-8, found another byte at column 4'
# a .txt file: a line is a prompt, whatever it looks like; blank lines and a carriage return are none
printf 'the brown\r\n\n{"text": "a fox"}\n a dog' >"$work/prompts.txt"
run compare --teacher "$other" --student "$llama" --data "$work/texts.jsonl" --json -p first --prompts "$work/prompts.txt" -n 2
exits 0
out_has '"prompts":["first","the brown","{\"text\": \"a fox\"}"," a dog"]'
# standard input has no name that ends in .txt
echo '{"text": "a fox"}' >"$work/input"
run compare --teacher "$other" --student "$llama" --data "$work/texts.jsonl" --json --prompts - -n 2 <"$work/input"
exits 0
out_has '"prompts":["a fox"]'
run compare --teacher "$other" --student "$llama" --data "$work/texts.jsonl" --prompts "$work/none.jsonl"
exits 1
err_has none.jsonl

# ---- on a terminal the better of student and baseline is bold, and columns line up all the same ----
esc=$(printf '\033')
run compare --teacher "$other" --student "$llama" --baseline "$other" --data "$work/texts.jsonl"
exits 0
case $out in *"$esc"*) fail "$what: steers what is no terminal: $out" ;; esac
# on_terminal DATA: what a terminal shows, to $work/seen; and the same without bold, to $work/bare
on_terminal() {
  script -qec "'$LIMBECK' compare --teacher '$other' --student '$llama' --baseline '$other' --data '$1' --threads 1" /dev/null </dev/null >"$work/terminal" 2>&1 || fail "script: $(cat "$work/terminal")"
  tr -d '\r' <"$work/terminal" >"$work/seen"
  sed "s/${esc}\[[0-9]*m//g" "$work/seen" >"$work/bare"
}
is_bold() { checks=$((checks + 1)); grep -F "$1" "$work/seen" | head -n 1 | grep -q "${esc}\[1m" || fail "not bold: $1: $(cat "$work/seen")"; }
is_not_bold() { checks=$((checks + 1)); grep -F "$1" "$work/seen" | head -n 1 | grep -q "${esc}\[" && fail "bold: $1: $(cat "$work/seen")"; }
if has_terminal; then
  on_terminal "$work/texts.jsonl"
  checks=$((checks + 2))
  grep -q "same best token as the teacher .*${esc}\[1m100.0 %${esc}\[0m" "$work/seen" || fail "the better one is not bold: $(cat "$work/seen")"
  grep -q '^same best token as the teacher  *-  *[0-9.]* %  *100.0 %$' "$work/bare" || fail "the row does not line up: $(cat "$work/seen")"
  is_bold "KL(teacher ||"
  is_bold "KL(it ||"
  is_not_bold "standard error"
  is_not_bold "parameters"
  # every row of the table ends in the same column, whatever is bold
  checks=$((checks + 1))
  [ "$(sed -n '/perplexity/,/^$/p' "$work/bare" | awk 'NF { print length }' | sort -u | wc -l)" = 1 ] || fail "rows end in different columns: $(cat "$work/bare")"
  # a document alone has no standard error, so nothing is better for sure
  on_terminal "$work/one.jsonl"
  is_not_bold "perplexity"
  is_not_bold "KL(teacher ||"
  is_not_bold "KL(it ||"
  is_bold "same best token"
fi
finish
