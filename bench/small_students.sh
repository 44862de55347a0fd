#!/bin/sh
# Is a student better for its teacher? A recipe with three seeds, each also with alpha=0: the same weights to
# begin with, the same documents in the same order, the teacher only measures.
#   usage: small_students.sh LIMBECK RECIPE FOLDER [KEY=VALUE...]
# Runs are FOLDER/{distilled,alone}-SEED; one that is complete is not repeated, any other begins anew. FOLDER/seeds.csv is the result.
# SEEDS="1 2 3" are the seeds.
set -eu
[ $# -ge 3 ] || { echo "usage: $0 LIMBECK RECIPE FOLDER [KEY=VALUE...]" >&2; exit 2; }
limbeck=$1 recipe=$2 folder=$3
shift 3
mkdir -p "$folder"

run() { # NAME KEY=VALUE...
  name=$1
  shift
  [ ! -e "$folder/$name.json" ] || return 0
  "$limbeck" distill "$recipe" output_dir="$folder/$name" overwrite_output_dir=true --json "$@" >"$folder/$name.part" 2>"$folder/$name.log" ||
    { tail -n 5 "$folder/$name.log" >&2; exit 1; }
  mv "$folder/$name.part" "$folder/$name.json"
}

for seed in ${SEEDS:-1 2 3}; do
  run "distilled-$seed" seed="$seed" "$@"
  run "alone-$seed" seed="$seed" alpha=0 "$@"
done

python3 - "$folder" <<'PYTHON' >"$folder/seeds.csv"
import json, pathlib, sys

print("seed,run,perplexity,kl_to_teacher,agreement,perplexity_teacher,parameters,tokens,seconds")
for path in sorted(pathlib.Path(sys.argv[1]).glob("*-*.json"), key=lambda p: p.stem.split("-")[::-1]):
    r = json.loads(path.read_text().splitlines()[-1])
    run, seed = path.stem.rsplit("-", 1)
    a = r["after"]
    print(f'{seed},{run},{a["perplexity"]:.2f},{a["kl_to_teacher"]:.4f},{a["agreement"]:.4f},'
          f'{r["teacher"]["perplexity"]:.2f},{a["parameters"]},{r["tokens"]},{r["seconds"]:.0f}')
PYTHON
cat "$folder/seeds.csv"
