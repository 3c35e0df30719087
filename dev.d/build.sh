# Building and testing. Sourced by dev.
# shellcheck shell=bash

readonly memory_per_compile_mib=1536 # the hungriest translation units under GCC 12
readonly tests_at_once=2             # some tests time things; more at once would disturb them

# How many compilers fit in memory and on the processors.
build_jobs() {
  local processors available_mib jobs
  processors=$(nproc)
  available_mib=$(awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo)
  jobs=$((available_mib / memory_per_compile_mib))
  [ "$jobs" -ge 1 ] || jobs=1
  [ "$jobs" -le "$processors" ] || jobs=$processors
  echo "$jobs"
}

# build PRESET [TARGET…]
build() {
  local preset=$1 folder=build/$1
  shift
  if [ ! -e "$folder/build.ninja" ] || [ CMakePresets.json -nt "$folder/build.ninja" ]; then
    mkdir -p build
    cmake --preset "$preset" >"build/configure-$preset.log" 2>&1 || {
      tail -n 30 "build/configure-$preset.log" >&2
      fail "cmake failed; its whole output is in build/configure-$preset.log"
    }
  fi
  ninja -C "$folder" -j "$(build_jobs)" "$@" ||
    fail "the build failed; the first 'FAILED' above says where"
}

build_verb() {
  need_packages build
  build release "$@"
}

# Passes ctest's output on and puts the number of skipped tests in front of its closing lines.
count_skipped() {
  awk '/\*\*\*Skipped/ { skipped++ }
       /^[0-9]+% tests passed/ { printf "%d tests skipped\n\n", skipped }
       { print; fflush() }'
}

test_verb() {
  need_packages build run test
  build release
  local status=0
  # The packages hold a Vulkan driver: tests that cannot use it fail.
  if command -v apt-get >/dev/null; then export FALLOW_TEST_VULKAN=1; fi
  ctest --preset release -j "$tests_at_once" --output-on-failure --no-tests=error "$@" | count_skipped || status=${PIPESTATUS[0]}
  return "$status"
}

# sim_verb [fallow-sim's options]: 200 seeds where none are asked for.
sim_verb() {
  need_packages build
  build release fallow-sim
  [ $# -gt 0 ] || set -- --seeds 200
  build/release/bin/fallow-sim "$@"
}
