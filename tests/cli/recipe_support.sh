# Read by tests of distill, plan and inspect after support.sh: a tiny teacher and student with one
# tokenizer, texts, and a recipe that takes a second.
# shellcheck shell=sh disable=SC2034,SC2154
need_models
teacher=$models/llama-llama3-rope
student=$models/llama-tied-gqa
recipe=$work/recipe.yaml
texts=$work/texts.jsonl
i=0
while [ "$i" -lt 24 ]; do
  echo "{\"text\": \"document $i: the quick brown fox jumps over the lazy dog, $i times.\"}"
  i=$((i + 1))
done >"$texts"
cat >"$recipe" <<END
teacher: $teacher
student: $student
data: {train: $texts, max_length: 64, eval_fraction: 0.1}
train:
  num_train_epochs: 2
  per_device_train_batch_size: 1
  gradient_accumulation_steps: 2
  learning_rate: 1e-3
  warmup_steps: 2
  logging_steps: 2
  save_steps: 5
output_dir: $work/student
test: {prompt: "the quick", max_new_tokens: 5, num_beams: 2}
END
