#!/bin/sh
# The front door: one word does each chore, and installs what that chore needs the first time.
# `./do` alone lists the words. To add one: a line "#: word - what it does" and a function do_word.
set -eu

start=$PWD
root=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
cd "$root"

say() { printf '%s\n' "$*" >&2; }
stop() { say "do: $*"; exit 1; }

# ---- what is installed ----

base_packages="build-essential cmake ninja-build pkg-config libdnnl-dev libpcre2-dev
  libutf8proc-dev libjansson-dev libyaml-dev zlib1g-dev libzstd-dev libssl-dev
  libcmocka-dev"

# Is the thing here without a package? Other systems, and tools somebody built.
is_usable() {
  case $1 in
    build-essential) command -v cc ;;
    ninja-build) command -v ninja ;;
    libdnnl-dev) printf '#include <oneapi/dnnl/dnnl.h>\n' | cc -E -x c - ;;
    libpcre2-dev) pkg-config --exists libpcre2-8 ;;
    libutf8proc-dev) pkg-config --exists libutf8proc ;;
    libjansson-dev) pkg-config --exists jansson ;;
    libyaml-dev) pkg-config --exists yaml-0.1 ;;
    zlib1g-dev) pkg-config --exists zlib ;;
    libzstd-dev) pkg-config --exists libzstd ;;
    libssl-dev) pkg-config --exists libcrypto ;;
    libcmocka-dev) pkg-config --exists cmocka ;;
    lib*) false ;;
    *) command -v "$1" ;;
  esac >/dev/null 2>&1
}

is_installed() {
  dpkg-query -W -f='${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed || is_usable "$1"
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# need PACKAGE...: makes sure that they are installed; asks apt only when one is missing.
need() {
  missing=
  for package in "$@"; do
    is_installed "$package" || missing="$missing $package"
  done
  [ -n "$missing" ] || return 0
  if ! command -v apt-get >/dev/null 2>&1; then
    stop "please install (names as in Debian):$missing"
  fi
  if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null 2>&1; then
    stop "no sudo here; please run as root: apt-get install$missing"
  fi
  say "do: installing$missing"
  as_root apt-get -q update
  # shellcheck disable=SC2086  # a list of words
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 install \
    $missing || stop "apt-get could not install$missing"
}

# shellcheck disable=SC2086
need_base() { need $base_packages; }

# ---- building and testing with a preset ----

folder_of() {
  case $1 in release) echo build ;; *) echo "build/$1" ;; esac
}

# A folder configured in another place (the tree was moved or copied) is of no use.
configure() {
  cache=$(folder_of "$1")/CMakeCache.txt
  if [ -f "$cache" ] && ! grep -qx "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$cache"; then
    say "do: $cache belongs to another folder; configuring afresh"
    rm -f "$cache"
  fi
  cmake --preset "$1"
}

# run_tests PRESET [PATTERN]: builds everything, runs CTest, ends with the line
# "N passed, N failed, N skipped". Fails when a test failed or could not run.
run_tests() {
  configure "$1"
  cmake --build --preset "$1"
  results=$root/$(folder_of "$1")/test-results.xml
  rm -f "$results"
  status=0
  ctest --test-dir "$(folder_of "$1")" -j2 --output-on-failure --no-tests=error \
    --output-junit "$results" ${2:+-R "$2"} || status=$?
  [ -f "$results" ] || stop "CTest left no results"
  tools/test_summary "$results" || status=1
  return "$status"
}

# ---- the words ----

#: build [PRESET] - build build/limbeck and the libraries; or everything of a CMake preset
do_build() {
  need_base
  configure "${1:-release}"
  if [ "${1:-release}" = release ]; then
    cmake --build --preset release --target product
  else
    cmake --build --preset "$1"
  fi
}

#: test [PATTERN] - build and run every test, or those whose names match; counts at the end
do_test() {
  need_base
  run_tests release "${1:-}"
}

#: demo [FOLDER] - a teacher makes a small model better than text alone: about a minute, offline
do_demo() {
  need_base
  configure release >/dev/null
  cmake --build --preset release --target product demo_texts
  folder=${1:-limbeck-demo}
  case $folder in /*) ;; *) folder=$start/$folder ;; esac
  exec examples/demo/demo.sh build/limbeck build/examples/demo_texts "$folder"
}

#: bench - build and run the benchmarks
do_bench() {
  need_base
  [ -f bench/CMakeLists.txt ] || stop "this tree has no bench/ folder"
  configure release
  cmake --build --preset release --target bench
}

#: fuzz [MINUTES] [afl] - run each fuzz target for its share of MINUTES (default 5); needs clang
do_fuzz() {
  minutes=${1:-5} engine=${2:-libfuzzer}
  case $minutes in '' | *[!0-9]*) stop "fuzz: want a number of minutes, found '$minutes'" ;; esac
  case $engine in libfuzzer | afl) ;; *) stop "fuzz: want afl or nothing, found '$engine'" ;; esac
  [ -f tests/fuzz/CMakeLists.txt ] || stop "this tree has no tests/fuzz/ folder"
  need_base
  need clang libclang-rt-dev libomp-dev
  if [ "$engine" = afl ]; then
    need afl++
    CC=afl-clang-fast cmake -S . -B build/afl -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
      -DLIMBECK_FUZZ=ON
    cmake --build build/afl
    set -- build/afl/tests/fuzz/fuzz_*
  else
    configure fuzz
    cmake --build --preset fuzz
    set -- build/fuzz/tests/fuzz/fuzz_*
  fi
  [ -x "$1" ] || stop "no fuzz target was built"
  seconds=$((minutes * 60 / $# + 1))
  for target in "$@"; do
    name=${target##*/}
    corpus=tests/fuzz/corpus/${name#fuzz_}
    say "do: $name, $seconds seconds"
    "fuzz_with_$engine"
  done
}

# New inputs land in the first folder; a crash stops here, its input beside them.
fuzz_with_libfuzzer() {
  found=build/fuzz/found/$name
  mkdir -p "$found"
  [ -d "$corpus" ] || corpus=
  "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$found/" "$found" ${corpus:+"$corpus"}
}

fuzz_with_afl() {
  found=build/afl/found/$name
  mkdir -p "$found"
  AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_SKIP_CPUFREQ=1 AFL_NO_UI=1 AFL_BENCH_UNTIL_CRASH=1 \
    AFL_AUTORESUME=1 afl-fuzz -i "$corpus" -o "$found" -V "$seconds" -- "$target"
  crashes=$(sed -n 's/^saved_crashes *: *//p' "$found/default/fuzzer_stats")
  [ "$crashes" = 0 ] || stop "fuzz: $name: an input of $found/default/crashes breaks it"
}

#: asan [PATTERN] - run the tests under AddressSanitizer and UndefinedBehaviorSanitizer
do_asan() {
  need_base
  export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_stack_use_after_return=1:strict_string_checks=1}"
  export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"
  run_tests asan "${1:-}"
}

#: tsan [PATTERN] - run the tests under ThreadSanitizer
do_tsan() {
  need_base
  # OpenMP and oneDNN are not instrumented: what happens inside them is not ours to judge.
  export TSAN_OPTIONS="${TSAN_OPTIONS:-ignore_noninstrumented_modules=1:halt_on_error=1}"
  run_tests tsan "${1:-}"
}

#: coverage - run the tests and measure what they reach: build/coverage/report/index.html
do_coverage() {
  need_base
  need lcov
  find build/coverage -name '*.gcda' -delete 2>/dev/null || :
  run_tests coverage
  lcov --quiet --capture --directory build/coverage --base-directory "$root" --no-external \
    --output-file build/coverage/all.info
  lcov --quiet --remove build/coverage/all.info "$root/tests/*" "$root/build/*" \
    --output-file build/coverage/limbeck.info
  genhtml --quiet --output-directory build/coverage/report build/coverage/limbeck.info
  lcov --summary build/coverage/limbeck.info
}

c_files() {
  for folder in include src cli tests bench examples; do
    [ ! -d "$folder" ] || find "$folder" -name '*.[ch]'
  done
}

#: format - rewrite every C file in the house style
do_format() {
  need clang-format
  c_files | xargs clang-format -i
}

#: lint - style, one-way doors, shell scripts, and a build with warnings as errors
do_lint() {
  need_base
  need clang-format shellcheck
  failed=
  c_files | xargs clang-format --dry-run -Werror || failed="$failed style(./do format)"
  tools/check_layers . || failed="$failed layers"
  shellcheck ./do tools/check_layers tools/test_summary tools/analyze .ci/run || failed="$failed scripts"
  find tests tools -name '*.sh' -exec shellcheck {} + || failed="$failed test-scripts"
  configure dev
  cmake --build --preset dev || failed="$failed warnings"
  [ -z "$failed" ] || stop "lint found something:$failed"
}

#: analyze - gcc -fanalyzer, clang-tidy and cppcheck; tools/analyze.txt explains what they report
do_analyze() {
  need_base
  need clang-tidy cppcheck
  configure release
  tools/analyze build
}

#: soak - the long checks: every allocation and system call of every verb failing in turn
do_soak() {
  LIMBECK_FAULT_STEPS=all do_test cli/test_faults
}

#: valgrind - verbs on a tiny model under memcheck; twice the text, counted in instructions
do_valgrind() {
  need valgrind
  do_build release
  tools/valgrind.sh build/limbeck
  do_test growth/test_growth
}

#: install [PREFIX] - build, then install into PREFIX (default /usr/local)
do_install() {
  prefix=${1:-/usr/local}
  case $prefix in /*) ;; *) prefix=$start/$prefix ;; esac
  do_build release
  if mkdir -p "$prefix" 2>/dev/null && [ -w "$prefix" ]; then
    cmake --install build --prefix "$prefix"
  else
    as_root cmake --install build --prefix "$prefix"
  fi
}

#: clean - remove everything that was built
do_clean() { rm -rf build; }

#: deps - install what building and testing needs, and nothing else
do_deps() {
  need_base
  say "do: everything that building and testing needs is installed"
}

# ---- which word ----

list_words() {
  echo "usage: ./do WORD [ARGUMENT]"
  sed -n 's/^#: \(.*\) - \(.*\)/\1|\2/p' ./do | while IFS='|' read -r words meaning; do
    printf '  %-18s %s\n' "$words" "$meaning"
  done
}

word=${1:-}
[ $# = 0 ] || shift
case $word in
  '' | help | -h | --help) list_words ;;
  *)
    case $word in *[!a-z]*) known=no ;; *) known=$(sed -n "s/^#: $word .*/yes/p" ./do) ;; esac
    if [ "$known" != yes ]; then
      say "do: unknown word '$word'; ./do lists them all"
      exit 2
    fi
    "do_$word" "$@"
    ;;
esac
