#!/bin/sh
# shellcheck disable=SC1091,SC2154  # support.sh sets the variables
# limbeck shrink: all layers are the teacher again, some are a model, and what is refused says why.
. "$LIMBECK_SOURCE_DIR/tests/cli/support.sh"
need_models
echo '{"ids":[58,30,165,173,71,229,226,26,30,150,149,2]}' >"$work/in.jsonl"
score() { "$LIMBECK" score "$1" --top 5 --json --input "$work/in.jsonl"; }
half=$models/gemma3-linear # six layers

# ---- all layers: the very same numbers ----
for name in llama-tied-gqa gpt2-tied qwen2-tied qwen3-tied mistral gemma3-linear llama-bf16-shards; do
  source=$models/$name
  run inspect "$source" --json
  layers=$(grep -oE '"(num_hidden_layers|n_layer)": [0-9]+' "$source/config.json" | grep -oE '[0-9]+$')
  run shrink "$source" "$work/$name" --layers "$layers" --quiet
  exits 0
  out_is "$work/$name"
  err_is_empty
  [ "$(score "$work/$name")" = "$(score "$source")" ] || fail "$name: all layers give other predictions"
done
# a GGUF becomes a folder with the same numbers
run convert "$llama" "$work/llama.gguf" --no-check --quiet
run shrink "$work/llama.gguf" "$work/from-gguf" --layers 0-1 --quiet
exits 0
[ "$(score "$work/from-gguf")" = "$(score "$llama")" ] || fail "from a GGUF: other predictions"

# ---- some of them ----
run shrink "$half" "$work/three" --layers 3 --json
exits 0
out_matches "\\{\"output\":$string,\"layers\":\\[0,3,5\\],\"teacher_layers\":6,\"teacher_parameters\":[0-9]+,\"parameters\":[0-9]+,\"hidden_size\":24,\"num_attention_heads\":2,\"num_key_value_heads\":2,\"intermediate_size\":32\\}"
err_has "kept layers 0 3 5 of 6"
run shrink "$half" "$work/chosen" --layers 0,2-3,5 --json
out_has '"layers":[0,2,3,5]'
# what it keeps can be cut again, and the order of cuts does not matter
run shrink "$work/chosen" "$work/twice" --layers 0,2,3 --quiet
exits 0
[ "$(score "$work/twice")" = "$(score "$work/three")" ] || fail "0,2,3 of 0,2,3,5 is not 0,3,5"
[ "$(score "$work/three")" != "$(score "$half")" ] || fail "three layers predict as six do"
for file in tokenizer.json tokenizer_config.json generation_config.json; do
  [ ! -f "$half/$file" ] || cmp -s "$half/$file" "$work/three/$file" || fail "$file is not the teacher's"
done
run generate "$work/three" --prompt ab --max-new-tokens 3 --quiet
exits 0

# ---- number formats ----
run convert "$models/llama-llama3-rope" "$work/q8.gguf" --type q8_0 --no-check --quiet
run shrink "$work/q8.gguf" "$work/wide" --layers 1
exits 0
run inspect "$work/wide"
out_has F32
run shrink "$work/q8.gguf" "$work/narrow" --layers 1 --dtype bf16
exits 0
run inspect "$work/narrow"
out_has BF16

# ---- by influence and by activation ----
for d in 1 2 3 4 5 6 7 8; do
  echo "{\"ids\":[58,30,$((d * 20)),165,173,$((d * 7)),71,229,226,$((d * 3)),26]}"
done >"$work/texts.jsonl"
calibrated() { run shrink "$@" --calibration "$work/texts.jsonl"; }
calibrated "$half" "$work/by-influence" --layers 4 --layer-selection influence --json
exits 0
out_has '"calibration_tokens":88,"layer_influence":[0.'
err_has " of 6; "
calibrated "$half" "$work/all-influence" --layers 6 --layer-selection influence --hidden 24 --heads 2 --ffn 32 --quiet
exits 0
[ "$(score "$work/all-influence")" = "$(score "$half")" ] || fail "keeping everything gives other predictions"
gqa=$models/llama-tied-gqa # 40 channels, 4 heads of 10 in 2 groups, 36 neurons
calibrated "$gqa" "$work/narrow4" --hidden-size=32 --num_attention_heads 2 --intermediate-size 32 --json
exits 0
out_has '"hidden_size":32,"num_attention_heads":2,"num_key_value_heads":2,"intermediate_size":32'
err_has "kept 32 of 40 channels, 2 of 4 heads, 32 of 36 neurons"
err_has "heads times head size, 20, is no multiple of 32: a quantised GGUF will keep those matrices as F16"
grep -q '"head_dim": 10' "$work/narrow4/config.json" || fail "config.json does not say the head size"
calibrated "$gqa" "$work/narrow5" --kv-heads 1 --quiet
exits 0
run inspect "$work/narrow5"
out_has "heads         2"
out_has "kv heads      1"
# a GGUF of it has the same numbers, and a GGUF can be made narrower
run convert "$work/narrow4" "$work/narrow.gguf" --no-check --quiet
exits 0
[ "$(score "$work/narrow.gguf")" = "$(score "$work/narrow4")" ] || fail "narrow: the GGUF has other predictions"
run convert "$gqa" "$work/gqa.gguf" --no-check --quiet
calibrated "$work/gqa.gguf" "$work/narrow6" --hidden-size=32 --heads 2 --ffn 32 --quiet
exits 0
[ "$(score "$work/narrow6")" = "$(score "$work/narrow4")" ] || fail "narrow: from a GGUF: other predictions"
# the same bits for any number of threads
for threads in 1 3; do
  calibrated "$gqa" "$work/threads$threads" --layers 1 --layer-selection influence --hidden 36 --heads 2 --ffn 20 --threads "$threads" --quiet
  exits 0
done
cmp -s "$work/threads1/model.safetensors" "$work/threads3/model.safetensors" || fail "threads change what is kept"
# drawn by lot: of the seed
for seed in 1 1 2; do
  run shrink "$gqa" "$work/drawn$seed" --layers 1 --layer-selection random --hidden 36 --ffn 20 --selection random --seed "$seed" --quiet --overwrite
  exits 0
  score "$work/drawn$seed" >"$work/drawn$seed.json"
done
cmp -s "$work/drawn1.json" "$work/drawn2.json" && fail "seeds draw the same"
# no more text than asked for
calibrated "$gqa" "$work/short" --ffn 20 --calibration-tokens 12 --json
out_has '"calibration_tokens":22,'

cannot() { # PART ARGUMENT...
  part=$1
  shift
  run shrink "$gqa" "$work/no" "$@"
  exits 2
  err_has "$part"
  [ ! -e "$work/no" ] || fail "$what: wrote something"
}
cannot "--selection activation: want --calibration FILE" --hidden 32
cannot "--layer-selection influence: want --calibration FILE" --layers 1 --layer-selection influence
cannot "--layer-selection: want --layers, a number" --layer-selection random --ffn 32
cannot "--layers is a list already" --layers 0,1 --layer-selection random
cannot "nothing is chosen by it" --layers 1 --calibration "$work/texts.jsonl"
cannot "has 40, want to keep 1 to 40 of them, not 44" --hidden 44 --selection random
cannot "3 cannot share 2 key-value heads" --heads 3 --selection random
cannot "39 is none of 4; 40 is" --hidden 39 --selection random
cannot "want a whole number >= 1" --hidden 0
cannot "want one of" --selection best --hidden 32
calibrate_on() { # PART, then the text on standard input
  cat >"$work/bad.jsonl"
  run shrink "$gqa" "$work/no" --ffn 20 --calibration "$work/bad.jsonl"
  exits 1
  err_has "$1"
  [ ! -e "$work/no" ] || fail "$what: wrote something"
}
calibrate_on "want at least one document to calibrate on, found none" </dev/null
echo '{"ids":[]}' | calibrate_on "bad.jsonl:1: "
printf '{"ids":[1]}\n{"ids":[4000]}\n' | calibrate_on "bad.jsonl:2: token 0: id 4000"
echo 'a text' | calibrate_on "bad.jsonl:1: "
run shrink "$gqa" "$work/no" --ffn 20 --calibration "$work/none.jsonl"
exits 1
err_has "none.jsonl: No such file"

# ---- refused ----
refused() { # LAYERS PART
  run shrink "$half" "$work/no" --layers "$1"
  exits 2
  err_has "$2"
  [ ! -e "$work/no" ] || fail "$what: wrote something"
}
refused 7 "has 6, want to keep 1 to 6 of them, not 7"
refused 0 "want a number of layers or a list"
refused "" "want a number of layers or a list"
refused half "--layers 'half': want a number"
refused 1,,2 "want a number of layers or a list"
refused 5-3 "want a number of layers or a list"
refused 99999999999999999999 "want a number of layers or a list"
refused 0-99999999 "want a number of layers or a list"
refused 0,6 "layer 6: $half has layers 0 to 5"
refused 2,1 "1 comes after 2; want them rising"
run shrink "$half" "$work/no"
exits 2
err_has "want at least one of --layers, --hidden, --heads, --kv-heads, --ffn and --vocab-from"
run shrink "$half" "$work/no.gguf" --layers 2
exits 2
err_has "limbeck convert makes a GGUF of it"
run shrink "$half" "$work/three" --layers 2
exits 2
err_has "--overwrite"
run shrink "$half" "$work/three" --layers 2 --overwrite --quiet
exits 0
run inspect "$work/three"
out_has "layers        2"
run shrink "$work/none" "$work/no" --layers 2
exits 1
err_has "$work/none"
finish
