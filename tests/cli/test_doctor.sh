#!/bin/sh
# limbeck doctor: the report is there for people and for programs, and shows the choice of kernels.
# shellcheck disable=SC1091,SC2154  # support.sh sets the variables
. "$LIMBECK_SOURCE_DIR/tests/cli/support.sh"

run doctor
exits 0
err_is_empty
out_has "cores"
out_has "memory"
out_has "kernel set"
out_has "GFLOP/s"
out_has "linear"
run doctor --threads 1
exits 0
out_has "; 1 threads"
run doctor --json
exits 0
err_is_empty
[ "$(printf '%s\n' "$out" | wc -l)" = 1 ] || fail "$what: want one line: $out"
out_matches "\\{\"version\":\"[0-9.]+\",\"build\":$string,\"cpu\":$string,\"logical_cores\":[0-9]+,\"physical_cores\":[0-9]+,\"usable_cores\":[0-9]+,\"threads\":[0-9]+,\"memory_bytes\":[0-9]+,\"memory_available_bytes\":[0-9]+,\"l2_bytes\":[0-9]+,\"l3_bytes\":[0-9]+,\"libraries\":\\{.*\\},\"cpu_features\":\\{.*\\},\"kernel_sets\":\\{.*\\},\"kernels\":\\{.*\\},\"products\":\\[.*\\],\"warnings\":\\[.*\\]\\}"
out_has '"linear":"'
LIMBECK_KERNELS=reference run doctor --json
exits 0
out_has '"linear":"reference"'
LIMBECK_KERNELS=nonsense run doctor
exits 2
out_has "cpu"
err_has "nonsense"
finish
