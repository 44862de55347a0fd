#!/bin/sh
# shellcheck disable=SC1091,SC2016,SC2154  # support.sh sets the variables
# Recipes on the command line: keys as options, precedence, messages, help, docs/recipe.md. What is
# wrong with a recipe is told before any model is opened, so the models here need not exist.
. "$LIMBECK_SOURCE_DIR/tests/cli/support.sh"
recipe=$work/recipe.yaml
cat >"$recipe" <<'END'
teacher: no/such/teacher
student: no/such/student
data:
  train: no-such-texts.jsonl
train:
  learning_rate: 1e-4
END

# ---- docs/recipe.md is what the binary prints; after a change of keys:
#          build/limbeck help --recipe-markdown > docs/recipe.md
run help --recipe-markdown
exits 0
cmp -s "$work/out" "$LIMBECK_SOURCE_DIR/docs/recipe.md" ||
  fail "docs/recipe.md is not what 'limbeck help --recipe-markdown' prints; make it anew"

# ---- every key is explained, for people and for man; long lines are wrapped ----
# [|] in the second column is a choice; the first column is the key
keys=$(sed -n 's/^| `\([a-z0-9_]*\)` .*/\1/p' "$work/out")
[ "$(printf '%s\n' "$keys" | wc -l)" -ge 50 ] || fail "docs/recipe.md lists too few keys"
for topic in "help recipe" "help distill" "distill --help" "help --man"; do
  # shellcheck disable=SC2086 # words
  run $topic
  exits 0
  for key in $keys; do
    case $out in *"$key"*) ;; *) fail "limbeck $topic does not explain $key" ;; esac
  done
done
run completion bash
out_has "--learning-rate"
out_has '[ "$before" != --lr-scheduler-type ] || values="linear cosine'

# ---- refused, with the place ----
# refuses MESSAGE ARGUMENT...: exit 1 or 2, nothing on stdout, the message on stderr
refuses() {
  message=$1
  shift
  run "$@"
  [ "$code" = 1 ] || [ "$code" = 2 ] || fail "$what: exit $code"
  out_is ""
  err_has "$message"
}
# wrong LINE MESSAGE: a recipe with that line is refused with that message
wrong() {
  { cat "$recipe"; printf '%s\n' "$1"; } >"$work/wrong.yaml"
  refuses "$2" distill "$work/wrong.yaml"
}
wrong "  learning_rat: 1" "wrong.yaml:7: unknown key 'train.learning_rat'; did you mean 'learning_rate'?"
wrong "  num_train_epochs: x" "wrong.yaml:7: train.num_train_epochs: want a number >= 0, found 'x'"
wrong "  lr: 1" "wrong.yaml:7: train.learning_rate was already given in line 6"
wrong "  temperature: 2" "did you mean 'distill.temperature'?"
wrong "  seed: '1'" "write it without quotes"
wrong "distil: {alpha: 1}" "did you mean 'distill'?"
wrong "alpha: 1.5" "distill.alpha: want a number >= 0, <= 1, found '1.5'"
wrong "	tab: 1" "wrong.yaml:7:"
refuses "No such file" distill "$work/none.yaml"
refuses "RECIPE is missing" distill
refuses "student is missing" plan teacher=a

# ---- keys as options: three spellings, sections, aliases, - and _ ----
for spelling in "--learning_rate=-1" "--learning-rate -1" "learning_rate=-1" "train.learning_rate=-1" \
  "--train.learning-rate -1" "lr=-1" "--lr=-1" "train.lr=-1"; do
  # shellcheck disable=SC2086 # words
  refuses "train.learning_rate: want a number > 0, found '-1'" distill "$recipe" $spelling
  exits 2
done
refuses "unknown option 'learning_rte=1'" distill "$recipe" learning_rte=1
err_has "did you mean '--learning_rate'?"
refuses "unknown option '--jsn'" distill "$recipe" --jsn
err_has "did you mean '--json'?"
refuses "--lr: want a value, found nothing after it" distill "$recipe" --lr
refuses "unknown option '--no-lr'" distill "$recipe" --no-lr
refuses "one word too many" distill "$recipe" again
refuses "is a key of recipes" inspect model.gguf lr=1

# ---- command line > environment > recipe ----
LIMBECK_LEARNING_RATE=-2 refuses "found '-2'" distill "$recipe"
# reads ARGUMENT...: the recipe is right; then its models are missing
reads() {
  run "$@"
  exits 1
  case $err in *want* | *key* | *eval_steps*) fail "$what: $err" ;; esac
}
LIMBECK_EVAL_STEPS=5 refuses "'eval_steps=5': train.eval_steps: there is nothing" distill "$recipe"
LIMBECK_EVAL_STEPS=5 reads distill "$recipe" --no-plan --no-packing eval_steps=0
LIMBECK_LEARNING_RATE='' reads distill "$recipe" --no-plan
reads distill --no-plan teacher=none student=no/such train=no-such.jsonl
finish
