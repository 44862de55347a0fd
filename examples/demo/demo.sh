#!/bin/sh
# What Limbeck is for, in about a minute: a teacher makes a small model better than the same texts
# alone do. `./do demo` builds what this needs.
#
#   usage: demo.sh LIMBECK DEMO_TEXTS FOLDER
#
# DEMO_DOCUMENTS: how many texts to learn from. DEMO_SEED: which texts, and which weights the
# students begin with. DEMO_QUESTIONS: how many sums to ask.
set -eu
[ $# = 3 ] || { echo "usage: $0 LIMBECK DEMO_TEXTS FOLDER" >&2; exit 2; }
limbeck=$1 demo_texts=$2 out=$3
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
documents=${DEMO_DOCUMENTS:-480} seed=${DEMO_SEED:-1} questions=${DEMO_QUESTIONS:-100}
teacher=$here/teacher distilled=$out/distilled alone=$out/text-alone
begun=$(date +%s)

# Only a folder of an earlier demo is replaced.
if [ -e "$out" ] && [ ! -f "$out/.limbeck-demo" ]; then
  echo "demo: '$out' is not of an earlier demo; name another folder" >&2
  exit 1
fi
rm -rf "$out"
mkdir -p "$out/texts"
: >"$out/.limbeck-demo"

say() { printf '\n%s\n' "$*"; }
learn() { # learn FOLDER KEY=VALUE...: one student
  folder=$1
  shift
  "$limbeck" distill "$here/student.yaml" "$@" data.train="$out/texts/train.jsonl" \
    data.eval="$out/texts/held-out.jsonl" seed="$seed" output_dir="$folder" --no-plan >"$folder.log"
  sed -n 's/^\([0-9]* steps, .*\)$/     \1/p' "$folder.log"
}
# ask MODEL FILE: how many sums are right, "96 of 100"
ask() {
  "$limbeck" generate "$1" --input "$out/texts/$2.jsonl" --batch-size 50 -n 60 --precision f32 --json -q \
    >"$out/answers.jsonl"
  "$demo_texts" check "$out/texts/$2.jsonl" "$out/answers.jsonl"
}
sums() { printf '%-28s  %11s  %11s  %11s\n' "$1" "$(ask "$teacher" "$2")" "$(ask "$distilled" "$2")" "$(ask "$alone" "$2")"; }

"$demo_texts" make "$out/texts" "$documents" "$((seed + 1000))" "$questions"
say "1/4  $(wc -l <"$out/texts/train.jsonl") texts of a small grammar, half of them stories, half of them sums:"
sed -n 's/{"text":"\(.*\)"}$/\1/p' "$out/texts/train.jsonl" | head -n 2 | sed 's/\\n/\n/g; s/\\"/"/g' | fold -s -w 88 |
  sed 's/^/     /'

say "2/4  A teacher of 3.3 million parameters teaches a student of an eighth of that, from random weights"
learn "$distilled" teacher="$teacher"
say "3/4  The same student, from the same weights, learns from the same texts alone"
learn "$alone" teacher="$teacher" alpha=0

say "4/4  The three on texts that none of them has seen (limbeck compare); the baseline is the one of text alone"
echo
compare() {
  "$limbeck" compare --teacher "$teacher" --student "$distilled" --baseline "$alone" \
    --data "$out/texts/held-out.jsonl" -p "One windy morning Mia" -n 70 "$@"
}
compare >"$out/comparison.txt"
cat "$out/comparison.txt"
compare --json -q >"$out/comparison.json" # for the report
say "Answers that can be checked: $questions sums like those of the texts, $questions with larger numbers or more steps"
echo
printf '%-28s  %11s  %11s  %11s\n' "" teacher student baseline
sums "sums right" questions
sums "harder sums right" harder-questions

say "Curves, figures and answers on one page (open it with a browser):"
echo "  $("$limbeck" report "$distilled" --baseline "$alone" --comparison "$out/comparison.json" -o "$out/report.html")"
say "$(($(date +%s) - begun)) seconds; everything is in $out. Try next:"
cat <<END
  $limbeck generate $distilled --prompt "Lena has 12 apples"
  $limbeck compare --teacher $teacher --student $distilled --data $out/texts/harder.jsonl
  $limbeck distill $here/student.yaml teacher=$teacher data.train=$out/texts/train.jsonl temperature=2 output_dir=$out/warmer
END
