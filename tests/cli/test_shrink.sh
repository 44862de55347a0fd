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
out_matches "\\{\"output\":$string,\"layers\":\\[0,3,5\\],\"teacher_layers\":6,\"teacher_parameters\":[0-9]+,\"parameters\":[0-9]+\\}"
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
err_has "want --layers"
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
