# Fuzzing with libFuzzer. Seeds live in tests/fuzz/corpus/NAME; what a run adds, in build/fuzz-corpus/NAME. Sourced by dev.
# shellcheck shell=bash

readonly fuzz_max_input_bytes=65536 # larger inputs find nothing new and slow every run down
readonly fuzz_input_timeout_s=10
readonly fuzz_memory_mib=2048

fuzz_names() { sed -n 's/^ *fallow_fuzz(\([a-z0-9_]*\).*/\1/p' tests/fuzz/CMakeLists.txt; }

fuzz_verb() {
  local seconds=60 chosen=() name
  while [ $# -gt 0 ]; do
    case $1 in
      --seconds) [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || misuse "--seconds needs a whole number"; seconds=$2; shift ;;
      -*) misuse "unknown option '$1'" ;;
      *) fuzz_names | grep -qx -- "$1" || misuse "no fuzz target '$1'; there are: $(fuzz_names | xargs)"; chosen+=("$1") ;;
    esac
    shift
  done
  [ ${#chosen[@]} -gt 0 ] || mapfile -t chosen < <(fuzz_names)
  [ ${#chosen[@]} -gt 0 ] || fail "tests/fuzz/CMakeLists.txt names no targets"

  need_packages build fuzz
  build fuzz "${chosen[@]/#/fuzz_}"
  local table status=0
  table=$(printf '%-18s %12s %8s %9s %8s  %s' target runs runs/s coverage corpus finding)
  for name in "${chosen[@]}"; do
    say "fuzz $name: $seconds seconds, findings go to build/fuzz-findings/$name/"
    fuzz_one "$name" "$seconds" || status=1
    table+=$'\n'$(fuzz_row "$name")
  done
  printf '\n%s\n' "$table"
  return "$status"
}

# fuzz_one NAME SECONDS: runs the target, its output in build/fuzz-NAME.log.
fuzz_one() {
  local name=$1 log=build/fuzz-$1.log
  local corpus=build/fuzz-corpus/$name findings=build/fuzz-findings/$name seeds=tests/fuzz/corpus/$name
  local folders=("$corpus") dictionary=()
  mkdir -p "$corpus" "$findings"
  [ ! -d "$seeds" ] || folders+=("$seeds")
  [ ! -e "tests/fuzz/$name.dict" ] || dictionary=("-dict=tests/fuzz/$name.dict")
  if UBSAN_OPTIONS=print_stacktrace=1 ASAN_SYMBOLIZER_PATH=$(command -v llvm-symbolizer-16 || true) \
    "build/fuzz/fuzz/fuzz_$name" -max_total_time="$2" -max_len=$fuzz_max_input_bytes \
    -timeout=$fuzz_input_timeout_s -rss_limit_mb=$fuzz_memory_mib -print_final_stats=1 \
    -artifact_prefix="$findings/" "${dictionary[@]}" "${folders[@]}" >"$log" 2>&1; then return 0; fi
  tail -n 40 "$log" >&2
  say "fuzz $name: a finding; the whole output is in $log"
  return 1
}

# fuzz_row NAME: the target's line of the table, from its log.
fuzz_row() {
  awk -v name="$1" '
    /^stat::number_of_executed_units:/ { runs = $2 }
    /^stat::average_exec_per_sec:/ { rate = $2 }
    { for (i = 1; i < NF; i++) { if ($i == "cov:") coverage = $(i + 1); if ($i == "corp:") corpus = $(i + 1) } }
    /Test unit written to/ { finding = $NF }
    END { sub("/.*", "", corpus)
          printf "%-18s %12d %8d %9d %8d  %s\n", name, runs, rate, coverage, corpus, finding ? finding : "none" }
  ' "build/fuzz-$1.log"
}
