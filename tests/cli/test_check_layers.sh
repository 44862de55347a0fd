#!/bin/sh
# tools/check_layers: passes this tree, and catches one planted violation of every rule.
set -u
check=$LIMBECK_SOURCE_DIR/tools/check_layers
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0
fail() { echo "FAILED: $*" >&2; failed=1; }

"$check" "$LIMBECK_SOURCE_DIR" || fail "this tree must pass"

# A small tree that keeps every rule, with the cases that look like violations and are none.
fresh_tree() {
  rm -rf "$work/tree"
  mkdir -p "$work/tree/src/base" "$work/tree/src/tensor" "$work/tree/src/model" "$work/tree/src/train" \
    "$work/tree/cli" "$work/tree/include/limbeck" "$work/tree/tests/unit"
  echo 'void *lb__alloc(void); void *p(void) { return malloc(1); }' >"$work/tree/src/base/memory.c"
  echo '#include "base/files.h"
/* malloc( in a comment is fine */
void f(void) { lb__free(0); io->open(0); io.open(1); lb__buf_printf(b); is_open(c); }' >"$work/tree/src/model/config.c"
  echo '#include "model/config.h"
#include "trainer.h"' >"$work/tree/src/train/trainer.c"
  echo 'int x = lb__tensor_data(t);' >"$work/tree/src/tensor/tensor.c"
  echo '#include <limbeck/model.h>
#include "options.h"' >"$work/tree/cli/main.c"
  : >"$work/tree/tests/unit/test_config.c"
}
fresh_tree
"$check" "$work/tree" || fail "the small tree must pass"

# caught FILE LINE WORD: with LINE added to FILE the check fails, naming FILE (or WORD)
caught() {
  fresh_tree
  printf '%s\n' "$2" >>"$work/tree/$1"
  output=$("$check" "$work/tree" 2>&1) && fail "not caught: '$2' in $1"
  case $output in *"${3:-$1}"*) ;; *) fail "'$2' in $1: the message names not '${3:-$1}': $output" ;; esac
}
caught src/model/config.c '#include "train/trainer.h"'
caught src/model/config.c '#include "../train/trainer.h"'
caught src/model/config.c '  #  include "distill/recipe.h"'
caught src/base/memory.c '#include "tensor/tensor.h"'
caught src/model/config.h '#include "report/html.h"'
caught cli/main.c '#include "base/files.h"'
caught cli/main.c '#include "../src/base/files.h"'
caught src/model/config.c 'float *x = lb__tensor_data(t);'
caught src/model/config.c '#include "tensor/tensor_data.h"'
caught src/model/config.c 'char *p = malloc(3);'
caught src/model/config.c 'free(p);'
caught src/model/config.c '  if (x) abort();'
caught src/train/trainer.c 'fprintf(stderr, "x");'
caught src/train/trainer.c 'int fd = open("x", 0);'
caught src/train/config.c 'int y;' config.c

exit $failed
