#!/bin/sh
# Does the demo's claim hold? The demo with three seeds: other texts, other weights to begin with.
#   usage: demo_seeds.sh LIMBECK DEMO_TEXTS OUT.csv      (after `./do build` and `./do demo`)
set -eu
[ $# = 3 ] || { echo "usage: $0 LIMBECK DEMO_TEXTS OUT.csv" >&2; exit 2; }
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "seed,perplexity_teacher,perplexity_distilled,perplexity_alone,kl_distilled,kl_alone,right_teacher,right_distilled,right_alone,harder_teacher,harder_distilled,harder_alone,seconds" >"$3"
for seed in 1 2 3; do
  DEMO_SEED=$seed "$here/../examples/demo/demo.sh" "$1" "$2" "$work/demo" >"$work/out"
  awk -v seed="$seed" '
    /^perplexity / { perplexity = $(NF - 2) "," $(NF - 1) "," $NF }
    /^KL.teacher/ { kl = $(NF - 1) "," $NF }
    /sums right/ { right = right $(NF - 8) "," $(NF - 5) "," $(NF - 2) "," }
    /seconds; everything/ { seconds = $1 }
    END { print seed "," perplexity "," kl "," right seconds }' "$work/out" >>"$3"
done
cat "$3"
