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
documents=${DEMO_DOCUMENTS:-3600} seed=${DEMO_SEED:-1} questions=${DEMO_QUESTIONS:-100}
teacher=$here/teacher
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
run() { # run NAME KEY=VALUE...: one student
  name=$1
  shift
  "$limbeck" distill "$here/student.yaml" "$@" data.train="$out/texts/train.jsonl" \
    data.eval="$out/texts/held-out.jsonl" seed="$seed" output_dir="$out/$name" --no-plan --json \
    >"$out/$name.json"
}
# figure NAME MODEL KEY: of the result that a run printed; MODEL is teacher or after
figure() {
  sed -n "s/.*\"event\":\"result\".*\"$2\":{[^}]*\"$3\":\\([-0-9.e+]*\\).*/\\1/p" "$out/$1.json"
}
event() { sed -n "s/.*\"event\":\"result\".*\"$2\":\\([-0-9.e+]*\\),.*/\\1/p" "$out/$1.json"; }
# ask MODEL FILE: "96 of 100"
ask() {
  "$limbeck" generate "$1" --input "$out/texts/$2.jsonl" --batch-size 50 -n 100 --precision f32 --json -q \
    >"$out/answers.jsonl"
  "$demo_texts" check "$out/texts/$2.jsonl" "$out/answers.jsonl"
}
story() {
  "$limbeck" generate "$1" --prompt "One windy morning Mia" -n 70 --precision f32 -q | tr '\n' ' ' |
    fold -s -w 84 | sed 's/^/     /'
  echo
}
rounded() { awk -v x="$1" -v digits="$2" 'BEGIN { if (x == "") print "-"; else printf "%.*f\n", digits, x }'; }
millions() { awk -v n="$1" 'BEGIN { printf "%.2f\n", n / 1e6 }'; }
row() { printf '     %-34s %11s %11s %11s\n' "$@"; }

"$demo_texts" make "$out/texts" "$documents" "$((seed + 1000))" "$questions"
say "1/4  $(wc -l <"$out/texts/train.jsonl") texts from a small grammar, half of them stories, half of them sums:"
sed -n 's/{"text":"\(.*\)"}$/     \1/p' "$out/texts/train.jsonl" | sed -n 2p | sed 's/\\n/\n     /g; s/\\"/"/g'

say "2/4  A teacher of 3.3 million parameters teaches a student of an eighth of that, from random weights."
run distilled teacher="$teacher"
say "3/4  The same student, from the same weights, learns the same texts without a teacher."
run text-alone teacher=none student="$out/distilled/student-init"

say "4/4  What they are worth. $questions sums like those of the texts, $questions with larger numbers or more steps:"
echo
distilled=$out/distilled alone=$out/text-alone
row "" teacher distilled "text alone"
row "parameters, millions" "$(millions "$(figure distilled teacher parameters)")" \
  "$(millions "$(figure distilled after parameters)")" "$(millions "$(figure text-alone after parameters)")"
perplexity_distilled=$(figure distilled after perplexity) perplexity_alone=$(figure text-alone after perplexity)
row "perplexity of held-out texts" "$(rounded "$(figure distilled teacher perplexity)" 3)" \
  "$(rounded "$perplexity_distilled" 3)" "$(rounded "$perplexity_alone" 3)"
row "KL to the teacher, nats a token" 0 "$(rounded "$(figure distilled after kl_to_teacher)" 4)" -
right_distilled=$(ask "$distilled" questions) right_alone=$(ask "$alone" questions)
row "sums right" "$(ask "$teacher" questions)" "$right_distilled" "$right_alone"
row "harder sums right" "$(ask "$teacher" harder-questions)" "$(ask "$distilled" harder-questions)" \
  "$(ask "$alone" harder-questions)"
row "training, seconds" - "$(rounded "$(event distilled seconds)" 0)" "$(rounded "$(event text-alone seconds)" 0)"

echo
awk -v d="$perplexity_distilled" -v a="$perplexity_alone" -v rd="${right_distilled%% *}" -v ra="${right_alone%% *}" 'BEGIN {
  better = (d < a) + (rd + 0 > ra + 0)
  worse = (d > a) + (rd + 0 < ra + 0)
  if (better && !worse) print "     The teacher helped: less surprised by new texts, and more sums right."
  else if (worse && !better) print "     This time the texts alone made the better student."
  else print "     This time neither student is better in both."
}'
say "     A story by the teacher, by the distilled student, and by the one of text alone:"
for model in "$teacher" "$distilled" "$alone"; do echo; story "$model"; done

say "$(($(date +%s) - begun)) seconds. Everything is in $out. Try next:"
cat <<END
  $limbeck chat --help
  $limbeck generate $out/distilled --prompt "Lena has 12 apples"
  $limbeck distill $here/student.yaml teacher=$teacher data.train=$out/texts/train.jsonl temperature=2 output_dir=$out/warmer
END
