#!/bin/sh
# shellcheck disable=SC1091,SC2034,SC2154  # support.sh and recipe_support.sh set the variables
# `limbeck inspect recipe.yaml`: format, counts, and one document with its trained tokens marked.
. "$LIMBECK_SOURCE_DIR/tests/cli/support.sh"
. "$LIMBECK_SOURCE_DIR/tests/cli/recipe_support.sh"

run inspect "$recipe"
exits 0
out_has "format              text"
out_has "trained on          all"
out_has "example 0"
out_has "the quick brown fox"
out_has "⟦"
run inspect "$recipe" --json
exits 0
out_matches "\{\"data_format\":\"text\",\"train_on\":\"all\",\"documents\":21,.*\}"

# prompts and completions: only the completion is marked
cat >"$work/pairs.jsonl" <<'END'
{"prompt": "two and two is", "completion": " four"}
{"prompt": "three and three is", "completion": " six"}
END
run inspect "$recipe" train="$work/pairs.jsonl" eval_fraction=0
exits 0
out_has "format          prompt"
out_has "trained on      completion"
out_has "two and two is⟦ four"
run inspect "$recipe" train="$work/pairs.jsonl" eval_fraction=0 --example 1 --json
exits 0
out_has '"example":1,"pieces":['
out_has '{"text":" six'
run inspect "$recipe" train="$work/pairs.jsonl" eval_fraction=0 --example 2
exits 2
err_has "document 2: want 0 to 1"
run inspect "$recipe" train="$work/pairs.jsonl" eval_fraction=0 train_on=all
out_has "trained on      all"

# conversations: the assistant's turns
cat >"$work/chat.yml" <<END
teacher: none
student: $student
data: {train: $work/chat.jsonl, max_length: 64}
END
echo '{"messages": [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "you"}]}' \
  >"$work/chat.jsonl"
run inspect "$work/chat.yml"
exits 0
out_has "format          messages"
out_has "⟦you"

# the repository's own sentences
run inspect "$LIMBECK_SOURCE_DIR/examples/recipes/baseline.yaml" student="$student" max_length=200 \
  train="$LIMBECK_SOURCE_DIR/examples/data/sentences.jsonl" output_dir="$work/none"
exits 0
out_has "documents       8"
out_has "知识蒸馏让小模型向大模型学习"

# on a terminal the marks are green, without colours they are brackets
if has_terminal; then
  esc=$(printf '\033')
  script -qec "'$LIMBECK' inspect '$work/chat.yml'" /dev/null </dev/null >"$work/terminal" 2>&1
  out=$(tr -d '\r' <"$work/terminal")
  what="inspect on a terminal"
  out_has "${esc}[32myou"
  script -qec "NO_COLOR=1 '$LIMBECK' inspect '$work/chat.yml'" /dev/null </dev/null >"$work/terminal" 2>&1
  out=$(tr -d '\r' <"$work/terminal")
  out_has "⟦you"
fi
finish
