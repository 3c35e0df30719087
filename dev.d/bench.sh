# Benchmarks: a table for people, and as the last line one JSON object with the figures. Sourced by dev.
# shellcheck shell=bash

readonly bench_names="engine overhead accuracy yield footprint"

bench_verb() {
  local name=${1:-}
  [ -n "$name" ] || { printf 'Benchmarks: %s\n' "$bench_names"; return 0; }
  shift
  case $name in
    engine) bench_engine "$@" ;;
    overhead) bench_overhead "$@" ;;
    accuracy) bench_accuracy "$@" ;;
    yield) bench_yield "$@" ;;
    footprint) bench_footprint "$@" ;;
    *) misuse "no benchmark '$name'; there are: $bench_names" ;;
  esac
}

bench_engine() {
  need_packages build run
  build release fallow-bench-engine >&2
  "$programs/fallow-bench-engine" $example/field-normalizer-q8_0.gguf "$@"
}

# bench_accuracy LLAMA_CPP_BUILD [compare.py's options]: our error beside llama.cpp's. The folder is one that CMake built
# llama.cpp in, for the CPU, with shared or static libraries; its cache tells where the sources are.
bench_accuracy() {
  local peer_build=${1:-}
  [ -n "$peer_build" ] || misuse "which llama.cpp? ./dev bench accuracy LLAMA_CPP_BUILD, the folder CMake built it in"
  shift
  peer_build=$(cd "$caller_directory" && cd "$peer_build" 2>/dev/null && pwd) || misuse "no folder '$peer_build'"
  need_packages build run bench
  build release fallow-accuracy-logits >&2
  mkdir -p build/bench
  build_peer_logits "$peer_build" build/bench/peer_logits
  /usr/bin/python3 tests/benchmarks/accuracy/compare.py --peer build/bench/peer_logits \
    --engine "$programs/fallow-accuracy-logits" --demo $example "$@"
}

# build_peer_logits LLAMA_CPP_BUILD PROGRAM
build_peer_logits() {
  local folder=$1 program=$2 sources library libraries
  sources=$(sed -n 's/^llama\.cpp_SOURCE_DIR:STATIC=//p' "$folder/CMakeCache.txt" 2>/dev/null) || true
  [ -e "$sources/include/llama.h" ] || fail "$folder: not a CMake build folder of llama.cpp whose sources are still there"
  library=$(find "$folder" -name libllama.so -print -quit)
  if [ -n "$library" ]; then
    libraries=(-L"${library%/*}" "-Wl,-rpath,${library%/*}" -lllama -lggml -lggml-base)
  else
    mapfile -t libraries < <(find "$folder" -name 'libllama.a' -o -name 'libggml*.a')
    [ ${#libraries[@]} -gt 0 ] || fail "$folder: neither libllama.so nor libllama.a; build llama.cpp's target llama first"
    libraries=(-Wl,--start-group "${libraries[@]}" -Wl,--end-group -fopenmp -ldl -lpthread)
  fi
  g++ -std=c++20 -O2 -I"$sources/include" -I"$sources/ggml/include" tests/benchmarks/accuracy/peer_logits.cc \
    -o "$program" "${libraries[@]}" || fail "peer_logits.cc does not compile against $folder"
}

# The batch through coordinator and agent, against the same requests run by the engine alone, in turns.
bench_overhead() {
  local backend=vulkan rounds=2 requests=$example/batch-2000.jsonl model=$example/field-normalizer-q8_0.gguf
  while [ $# -gt 0 ]; do
    case $1 in
      --backend) backend=${2:-}; [[ $backend =~ ^(vulkan|cpu)$ ]] || misuse "--backend is vulkan or cpu"; shift ;;
      --rounds) rounds=${2:-}; [[ $rounds =~ ^[1-9][0-9]?$ ]] || misuse "--rounds is a number from 1 to 99"; shift ;;
      *) misuse "unknown option '$1'" ;;
    esac
    shift
  done
  need_packages build run demo
  build release fallow fallow-coordinator fallow-agent fallow-worker fallow-bench-engine >&2
  stack_open
  stack_start_coordinator
  stack_add_model "$model" $demo_model
  stack_start_agent "$backend"
  say "warming up: the device fetches the model and starts its worker"
  fallow submit $example/batch.jsonl -o "$stack_folder/warm.jsonl" >/dev/null 2>>"$stack_folder/fallow.log" ||
    stack_fail "the first batch failed" fallow agent coordinator

  local round whole engine best_whole='' best_engine='' started before used
  printf '%-8s %18s %18s   %s\n' round 'whole path (s)' 'engine alone (s)' \
    'processor time of coordinator, agent, worker; of the engine alone (s)'
  for ((round = 1; round <= rounds; round++)); do
    before=$(stack_processor_times)
    started=$(now_s)
    run_with_stack fallow submit "$requests" -o "$stack_folder/out.jsonl" >/dev/null 2>>"$stack_folder/fallow.log" ||
      stack_fail "the batch failed" fallow agent coordinator
    whole=$(LC_ALL=C awk -v start="$started" -v end="$(now_s)" 'BEGIN { printf "%.3f", end - start }')
    used=$(paste -d' ' <(echo "$before") <(stack_processor_times) |
      LC_ALL=C awk '{ printf "%s%.1f", separator, $2 - $1; separator = " " }')
    { TIMEFORMAT='%U %S'; time "$programs/fallow-bench-engine" "$model" --requests "$requests" --backend "$backend" \
      >"$stack_folder/engine.out" 2>>"$stack_folder/engine.log"; } 2>"$stack_folder/engine.time" ||
      stack_fail "the engine failed" engine
    engine=$(tail -n 1 "$stack_folder/engine.out" | jq -e ".${backend}_requests_s")
    used+="; $(LC_ALL=C awk '{ printf "%.1f", $1 + $2 }' "$stack_folder/engine.time")"
    printf '%-8s %18.3f %18.3f   %s\n' $round "$whole" "$engine" "$used"
    best_whole=$(smaller "$whole" "$best_whole")
    best_engine=$(smaller "$engine" "$best_engine")
  done
  printf '%-8s %18.3f %18.3f\n' best "$best_whole" "$best_engine"
  jq -nc --argjson whole "$best_whole" --argjson engine "$best_engine" --arg backend "$backend" \
    --argjson requests "$(wc -l <"$requests")" --arg device "$(device_text)" \
    '{benchmark: "overhead", backend: $backend, device: $device, requests: $requests, whole_path_s: $whole,
      engine_s: $engine, overhead_ratio: ($whole / $engine * 10000 | round / 10000)}'
}

smaller() { LC_ALL=C awk -v a="$1" -v b="${2:-$1}" 'BEGIN { print (a < b) ? a : b }'; }
