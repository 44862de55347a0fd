#!/bin/sh
# limbeck bench: the shape of what it prints. How fast is nobody's business here.
# shellcheck disable=SC1091,SC2154  # support.sh sets the variables
. "$LIMBECK_SOURCE_DIR/tests/cli/support.sh"
need_models

share=",\"share_of_peak\":$number,\"peak_of\":$string,\"peak_g[a-z_]+\":$number"
for job in prompt generate load; do
  [ "$job" = load ] && share=
  run bench $job "$llama" --tokens 8 --repeat 2 --json
  exits 0
  err_is_empty
  out_matches "\\{\"bench\":\"$job\",\"model\":$string,\"tokens_per_second\":$number,\"peak_memory_bytes\":[0-9]+,\"precision\":\"f32\",\"threads\":[0-9]+,\"tokens\":[18],\"batch\":1,\"repeats\":2,\"median\":$number,\"spread\":$number$share\\}"
done
run bench generate "$llama" --tokens 4 --batch 3 --repeat 1 --json --threads 1 --precision bf16
exits 0
out_has '"threads":1,"tokens":12,"batch":3,'
out_has '"precision":"bf16"'
echo "The still drips." >"$work/text"
run bench tokenize "$llama" --input "$work/text" --repeat 1 --json
exits 0
out_has '"bytes_per_second":'
out_has '"precision":null'
run bench prompt "$llama" --tokens 8 --repeat 1 --csv
exits 0
out_has "bench,tokens,batch,threads,precision,repeats,median_s,spread,tokens_per_second,peak_memory_bytes,share_of_peak"
[ "$(printf '%s\n' "$out" | tail -1 | tr -cd , | wc -c)" = 10 ] || fail "$what: want 11 columns: $out"
run bench load "$llama" --repeat 1
exits 0
out_has "peak memory"

run bench prompt "$llama" --tokens 100000
exits 2
err_has "256"
run bench promt "$llama"
exits 2
err_has "did you mean 'prompt'?"
run bench prompt
exits 2
err_has "MODEL is missing"
run bench tokenize "$llama" --input "$work/none"
exits 1
finish
