# Benchmarks of the agent on its owner's desktop: how fast it yields, what it costs while the owner works. Sourced by dev.
# shellcheck shell=bash

readonly desktop_programs=tests/benchmarks/desktop
readonly boinc_task=build/bench/boinc_task

# desktop_stack [TARGET…]: a coordinator with the demo's model, and an agent that has joined but does not run. Builds
# TARGET too.
desktop_stack() {
  need_packages build run demo bench
  build release fallow fallow-coordinator fallow-agent fallow-session fallow-worker "$@" >&2
  stack_open
  stack_start_coordinator
  stack_add_model "$example/field-normalizer-q8_0.gguf" $demo_model
  stack_join_agent
}

# desktop_bench SCRIPT [OPTION…]
desktop_bench() {
  local script=$1
  shift
  run_with_stack env "${stack_variables[@]}" /usr/bin/python3 -B "$desktop_programs/$script" \
    --agent "$programs/fallow-agent" --state-dir "$stack_folder/agent" --fallow "$programs/fallow" --model $demo_model \
    --like $example/batch-2000.jsonl --folder "$stack_folder" "$@" || stack_fail "the benchmark failed" agent coordinator
}

# bench_yield [bench_yield.py's options]
bench_yield() {
  desktop_stack fallow-bench-owner-work
  mkdir -p build/bench
  g++ -O2 -o "$boinc_task" "$desktop_programs/boinc_task.cc" -lboinc_api -lboinc -lpthread ||
    fail "boinc_task.cc does not compile: it needs the package libboinc-app-dev"
  desktop_bench bench_yield.py --boinc-task "$boinc_task" \
    --owner-work "$programs/fallow-bench-owner-work" "$@"
}

# bench_footprint [bench_footprint.py's options]
bench_footprint() {
  desktop_stack
  desktop_bench bench_footprint.py "$@"
}
