#!/bin/sh
# The demo in small: its texts, its sums, both students, the table. Not how good they are: that takes
# a minute (bench/demo_seeds.sh).
# shellcheck disable=SC1091,SC2154  # support.sh sets the variables
. "$LIMBECK_SOURCE_DIR/tests/cli/support.sh"
demo=$LIMBECK_SOURCE_DIR/examples/demo
is() { checks=$((checks + 1)); [ "$1" = "$2" ] || fail "$3: found '$1', want '$2'"; }

# ---- texts ----
mkdir "$work/a" "$work/b"
"$LIMBECK_DEMO_TEXTS" make "$work/a" 400 1 20 || fail "make: exit $?"
"$LIMBECK_DEMO_TEXTS" make "$work/b" 400 1 20 || fail "make: exit $?"
diff -r "$work/a" "$work/b" || fail "the same seed gives other texts"
"$LIMBECK_DEMO_TEXTS" make "$work/b" 400 2 20
cmp -s "$work/a/train.jsonl" "$work/b/train.jsonl" && fail "another seed gives the same texts"
is "$(cat "$work/a/train.jsonl" "$work/a/held-out.jsonl" | wc -l)" 400 "texts"
is "$(wc -l <"$work/a/questions.jsonl")" 20 "questions"
is "$(cat "$work/a/train.jsonl" "$work/b/held-out.jsonl" | sort | uniq -d | wc -l)" 0 "held-out texts among those of another seed"
is "$(grep -c ' a [aeiou]' "$work/a/train.jsonl")" 0 "a for an"
is "$(cat "$work"/[ab]/*.jsonl | grep -c '[{}][a-z]*[}]')" 0 "slots without a word"

# every equation of a sum is right, and the answer is what the last one says
cat "$work"/[ab]/train.jsonl "$work"/[ab]/harder.jsonl | grep -o 'text":"[^"]*Answer: [0-9]*' |
  awk '{
    answer = $NF
    n = split($0, parts, "\\\\n")
    sub(/\.$/, "", parts[2])
    m = split(parts[2], steps, ", ")
    for (i = 1; i <= m; i++) {
      split(steps[i], w, " ")
      x = w[2] == "+" ? w[1] + w[3] : w[2] == "-" ? w[1] - w[3] : w[1] * w[3]
      if (w[4] != "=" || x != w[5]) print "wrong: " steps[i]
      last = w[5]
    }
    if (n != 3 || last != answer) print "wrong answer: " $0
    sums++
  } END { print sums " sums" }' >"$work/sums"
is "$(grep -c wrong "$work/sums")" 0 "wrong sums ($(grep wrong "$work/sums" | head -n 2))"
[ "$(sed 's/ sums//' "$work/sums")" -gt 200 ] || fail "only $(cat "$work/sums")"

# the checker counts exact answers only
printf '{"text":"q","answer":"12"}\n{"text":"q","answer":"7"}\n{"text":"q","answer":"5"}\n' >"$work/q"
printf '{"text":"1 + 11 = 12.\\nAnswer: 12"}\n{"text":"Answer: 71"}\n{"text":"5"}\n' >"$work/answers"
is "$("$LIMBECK_DEMO_TEXTS" check "$work/q" "$work/answers")" "1 of 3" "check"
"$LIMBECK_DEMO_TEXTS" make "$work/nowhere" 4 1 1 2>"$work/err" && fail "made texts in no folder"
"$LIMBECK_DEMO_TEXTS" make "$work/a" x 1 1 2>"$work/err" && fail "took x for a number"

# ---- the whole of it, with few texts ----
DEMO_DOCUMENTS=60 DEMO_QUESTIONS=3 "$demo/demo.sh" "$LIMBECK" "$LIMBECK_DEMO_TEXTS" "$work/demo" >"$work/out" 2>"$work/err" ||
  fail "demo.sh: exit $?: $(tail -n 3 "$work/err")"
out=$(cat "$work/out") what=demo.sh
for word in "1/4" "2/4" "3/4" "4/4" "KL(teacher || it)" "prompt " " of 3 " "Try next:"; do out_has "$word"; done
complete=$(tail -n 1 "$work/demo/report.html")
is "$complete" "</body></html>" "the end of the report"
is "$(grep -cE '^perplexity( +[0-9.e+]+){3}$' "$work/out")" 1 "the row of perplexities"
is "$(grep -cE '^(harder )?sums right( +[0-3] of 3){3}$' "$work/out")" 2 "the rows of sums"
cmp -s "$work/demo/distilled/model.safetensors" "$work/demo/text-alone/model.safetensors" && fail "both students are the same"
# a second run replaces its own folder, and nobody else's
mkdir "$work/mine"
"$demo/demo.sh" "$LIMBECK" "$LIMBECK_DEMO_TEXTS" "$work/mine" 2>"$work/err" && fail "demo.sh took a folder that is not its own"
[ -d "$work/mine" ] || fail "demo.sh removed a folder that is not its own"
finish
