# Read by tests that run `limbeck distill`: `. "$LIMBECK_SOURCE_DIR/tests/e2e/support.sh"`.
# A tiny job whose every source of state matters: shuffled and packed documents, dropout, a trained
# projector, warm-up, two micro-batches a step.
# shellcheck shell=sh disable=SC1091,SC2034,SC2154
# Memory will do where there is some: killed processes lose nothing that they have written.
[ -n "${TMPDIR:-}" ] || [ ! -w /dev/shm ] || export TMPDIR=/dev/shm
. "$LIMBECK_SOURCE_DIR/tests/cli/support.sh"
train=$LIMBECK_SOURCE_DIR/tests/golden/data/train

# recipe FILE STEPS SAVE_STEPS
recipe() {
  cat >"$1" <<END
teacher: $train/gpt2-teacher
student: $train/gpt2-student
data: {train: $train/gpt2.jsonl, max_length: 32, eval_fraction: 0.1}
distill: {type: hidden, dropout: config}
train:
  max_steps: $2
  per_device_train_batch_size: 2
  gradient_accumulation_steps: 2
  learning_rate: 2.0e-3
  warmup_steps: 3
  weight_decay: 0.1
  save_steps: $3
  logging_steps: 1
END
}

# weights FOLDER: the student's bytes as one word; "none" when it is not there
weights() {
  [ -f "$1/model.safetensors" ] || { echo none; return; }
  sha256sum <"$1/model.safetensors" | cut -d ' ' -f 1
}

# distil RECIPE OUTPUT key=value...: as run, quietly
distil() {
  job=$1 into=$2
  shift 2
  run distill "$job" --no-plan "output_dir=$into" "$@"
}

# same FOLDER WHAT: its student must be that of the unbroken run, $unbroken
same() {
  checks=$((checks + 1))
  [ "$(weights "$1")" = "$unbroken" ] || fail "$2: other weights than the unbroken run's"
}

# newest FOLDER: the number of its newest checkpoint; nothing when there is none
newest() { find "$1" -maxdepth 1 -name 'checkpoint-*' | sed 's/.*checkpoint-//' | sort -n | tail -n 1; }
# No unfinished folder may remain once a run has ended well.
clean() {
  checks=$((checks + 1))
  left=$(find "$1" -maxdepth 1 -name '.checkpoint*')
  [ -z "$left" ] || fail "left behind: $left"
}
