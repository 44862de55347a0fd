#!/bin/sh
# oneDNN 3, which newer distributions have: the same file of calls (kernels/onednn/onednn_gemm.c)
# built against it, and its products run. From Python's package onednn-devel-cpu-gomp in the
# environment of LIMBECK_PEERS_PYTHON, or a prefix in LIMBECK_ONEDNN3.
set -eu
prefix=${LIMBECK_ONEDNN3:-}
if [ -z "$prefix" ] && [ -n "${LIMBECK_PEERS_PYTHON:-}" ]; then
  prefix=$("$LIMBECK_PEERS_PYTHON" -c 'import sys; print(sys.prefix)')
fi
if [ -z "$prefix" ] || [ ! -f "$prefix/include/oneapi/dnnl/dnnl.h" ]; then
  echo "skipped: no oneDNN 3 in '$prefix' (pip install onednn-devel-cpu-gomp there)"
  exit 77
fi
build=$LIMBECK_BUILD_DIR/onednn3
cmake -S "$LIMBECK_SOURCE_DIR" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
  -DONEDNN_INCLUDE_DIR="$prefix/include" -DONEDNN_LIBRARY="$prefix/lib/libdnnl.so" >"$build.log"
cmake --build "$build" --target limbeck test_op_parity test_signals >>"$build.log" || {
  tail -30 "$build.log"
  exit 1
}
export LD_LIBRARY_PATH="$prefix/lib"
"$build/limbeck" doctor | grep -q '^oneDNN *3\.' || {
  echo "limbeck doctor tells of another oneDNN than $prefix/lib has"
  exit 1
}
"$build/tests/test_op_parity"
"$build/tests/test_signals"
