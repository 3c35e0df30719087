# A coordinator, an agent and a signed-in `fallow` in a temporary folder, for the demo and the benchmarks. Sourced by dev.
# shellcheck shell=bash

readonly programs=build/release/bin
readonly start_patience_s=60 # a first start makes keys and certificates; an agent tries its Vulkan driver
readonly stop_patience_s=5

stack_folder=
stack_variables=()
stack_processes=()

# stack_open: makes the folder and sees to it that nothing outlives this script.
stack_open() {
  trap stack_close EXIT
  trap 'say "interrupted: stopping everything and removing its folder"; exit 130' INT
  trap 'exit 143' TERM HUP
  stack_folder=$(mktemp -d "${TMPDIR:-/tmp}/fallow.XXXXXX")
  mkdir -m 700 "$stack_folder"/{config,cache,state,run}
  # Everything of ours reads and writes in the stack's folder, not in the user's.
  stack_variables=(XDG_CONFIG_HOME="$stack_folder/config" XDG_CACHE_HOME="$stack_folder/cache"
    XDG_STATE_HOME="$stack_folder/state" XDG_RUNTIME_DIR="$stack_folder/run")
}

stack_close() {
  trap '' INT TERM HUP
  local process waited=0
  for process in "${stack_processes[@]}"; do kill -TERM "$process" 2>/dev/null || true; done
  for process in "${stack_processes[@]}"; do
    while kill -0 "$process" 2>/dev/null && [ $waited -lt $((stop_patience_s * 20)) ]; do
      sleep 0.05
      waited=$((waited + 1))
    done
    kill -KILL "$process" 2>/dev/null || true
    wait "$process" 2>/dev/null || true
  done
  stack_processes=()
  [ -z "$stack_folder" ] || rm -rf "$stack_folder"
  stack_folder=
}

stack_environment() { env "${stack_variables[@]}" "$@"; }

fallow() { stack_environment "$programs/fallow" "$@"; }

# stack_start NAME COMMAND…: in the background, its words in NAME.log.
stack_start() {
  local name=$1
  shift
  # The shell in between becomes the program, so that the process id is the program's.
  (exec env "${stack_variables[@]}" "$@" </dev/null >>"$stack_folder/$name.log" 2>&1) &
  stack_processes+=($!)
}

# run_with_stack COMMAND…: COMMAND's status; fails if a program of the stack ends first. A signal to this script ends it
# at once, as it would not in the foreground. A COMMAND that starts programs of its own must be a program, not a function,
# whose shell would be ended in its place.
run_with_stack() {
  "$@" &
  local process=$! ended='' status=0
  stack_processes+=("$process")
  wait -n -p ended "${stack_processes[@]}" || status=$?
  [ "$ended" = "$process" ] || stack_fail "a program ended by itself" coordinator agent
  unset 'stack_processes[-1]'
  return $status
}

# stack_fail WHAT NAME…: ends with the last lines of NAME.log.
stack_fail() {
  local what=$1 name
  shift
  for name in "$@"; do
    [ -s "$stack_folder/$name.log" ] || continue
    say "the end of what $name said:"
    tail -n 25 "$stack_folder/$name.log" >&2
  done
  fail "$what"
}

last_process_runs() { kill -0 "${stack_processes[-1]}" 2>/dev/null; }

# wait_until SECONDS COMMAND…: until COMMAND succeeds; fails after SECONDS or when the process started last has ended.
wait_until() {
  local turns=$(($1 * 10))
  shift
  while ! "$@"; do
    turns=$((turns - 1))
    [ $turns -gt 0 ] && last_process_runs || return 1
    sleep 0.1
  done
}

ready_value() { jq -r ".$1" "$stack_folder/ready.json"; }

stack_start_coordinator() {
  stack_start coordinator "$programs/fallow-coordinator" --data-dir "$stack_folder/coordinator" \
    --listen 127.0.0.1:0 --ready-file "$stack_folder/ready.json"
  wait_until $start_patience_s test -s "$stack_folder/ready.json" ||
    stack_fail "the coordinator did not start" coordinator
  fallow login - <<<"$(ready_value sign_in_link)" >>"$stack_folder/fallow.log" 2>&1 ||
    stack_fail "signing in to the coordinator failed" fallow coordinator
}

# stack_add_model FILE NAME
stack_add_model() {
  fallow models add "$1" --name "$2" >>"$stack_folder/fallow.log" 2>&1 ||
    stack_fail "the coordinator did not take the model $1" fallow coordinator
}

# A device that may work, and whose worker has said what it computes on.
device_is_there() {
  fallow devices --json 2>/dev/null |
    jq -e '.data | any((.state == "idle" or .state == "working") and .backend != null)' >/dev/null
}

stack_join_agent() {
  stack_environment "$programs/fallow-agent" join "$(ready_value join_link)" --state-dir "$stack_folder/agent" \
    >>"$stack_folder/agent.log" 2>&1 || stack_fail "the agent could not join" agent coordinator
}

# stack_start_agent BACKEND
stack_start_agent() {
  local chosen=()
  [ "$1" = auto ] || chosen=(--backend "$1")
  stack_join_agent
  stack_start agent "$programs/fallow-agent" run --dedicated --state-dir "$stack_folder/agent" "${chosen[@]}"
  wait_until $start_patience_s device_is_there || stack_fail "the agent did not become ready" agent coordinator
}

# What the device computes with: "vulkan, llvmpipe (LLVM 15.0.6, 256 bits)".
device_text() { fallow devices --json | jq -r '.data[0] | .backend + ", " + .processor'; }

# The processor seconds that coordinator, agent and worker have used so far, one a line.
stack_processor_times() {
  local coordinator=${stack_processes[0]} agent=${stack_processes[1]} workers process
  read -r -a workers <"/proc/$agent/task/$agent/children"
  for process in "$coordinator" "$agent" "${workers[0]}"; do
    # The 14th and 15th fields, counted behind the name in parentheses: ticks of 1/100 s.
    sed 's/.*) //' "/proc/$process/stat" | LC_ALL=C awk '{ printf "%.2f\n", ($12 + $13) / 100 }'
  done
}

now_s() { LC_ALL=C printf '%s' "$EPOCHREALTIME"; }
since() { LC_ALL=C awk -v start="$1" -v end="$(now_s)" 'BEGIN { printf "%.1f s", end - start }'; }
