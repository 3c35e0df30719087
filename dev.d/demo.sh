# ./dev demo: the whole product on this machine, with a real batch. Sourced by dev.
# shellcheck shell=bash

readonly example=examples/field-normalizer
readonly demo_model=field-normalizer
readonly demo_results=build/demo # answers stay here, to look at and to compare

demo_verb() {
  local stay='' backend=vulkan requests=$example/batch.jsonl
  while [ $# -gt 0 ]; do
    case $1 in
      --stay) stay=1 ;;
      --backend) backend=${2:-}; [[ $backend =~ ^(vulkan|cpu|auto)$ ]] || misuse "--backend is vulkan, cpu or auto"; shift ;;
      --requests) requests=$(cd "$caller_directory" && realpath -e -- "${2:-}") || misuse "--requests: no such file"; shift ;;
      *) misuse "unknown option '$1'" ;;
    esac
    shift
  done
  local started
  started=$(now_s)
  need_packages build run demo
  build release fallow fallow-coordinator fallow-agent fallow-worker
  local build_time
  build_time=$(since "$started")
  demo_run "$backend" "$requests" "$build_time"
  if [ -n "$stay" ]; then demo_stay; else demo_farewell; fi
}

stage() { printf '  %-13s %-58s %8s\n' "$@"; }

# demo_run BACKEND REQUESTS BUILD_TIME
demo_run() {
  local backend=$1 requests=$2 started status=0
  local answers
  answers=$demo_results/$(basename "$requests" .jsonl)-answers-$backend.jsonl
  stack_open
  mkdir -p "$demo_results"
  printf '\nFallow on this machine: a coordinator, an agent and a batch of %d requests.\n\n' "$(wc -l <"$requests")"
  stage "build" "install and build what is missing" "$3"
  started=$(now_s)
  stack_start_coordinator
  stage coordinator "$(ready_value sign_in_link | sed 's|/#.*||')" "$(since "$started")"
  started=$(now_s)
  stack_add_model "$example/field-normalizer-q8_0.gguf" $demo_model
  stage model "$demo_model: cleans messy spreadsheet cells" "$(since "$started")"
  started=$(now_s)
  stack_start_agent "$backend"
  stage agent "$(device_text)" "$(since "$started")"
  printf '\n'

  started=$(now_s)
  run_with_stack fallow submit "$requests" --model $demo_model --wait -o "$answers" || status=$?
  [ $status -eq 0 ] || [ $status -eq 6 ] || stack_fail "the batch did not complete" agent coordinator
  printf '\n'
  stage batch "submitted, computed, fetched" "$(since "$started")"
  demo_report "$requests" "$answers"
}

# demo_report REQUESTS ANSWERS: a sample, the accuracy, the file. The true answers lie beside the requests, if anybody
# knows them: expected.jsonl beside batch.jsonl, with {custom_id, answer}.
demo_report() {
  local requests=$1 answers=$2 truth other
  truth=$(dirname "$requests")/$(basename "$requests" | sed 's/^batch/expected/')
  [ -e "$truth" ] && [ "$truth" != "$requests" ] || truth=/dev/null
  printf '\n  %-44s %s\n' cell answer
  # shellcheck disable=SC2016 # jq's variables
  jq -rn --slurpfile requests "$requests" --slurpfile output "$answers" --slurpfile truth "$truth" '
    def pad($columns): . + " " * ([$columns - length, 1] | max);
    ($output | map({key: .custom_id, value: .response.body.choices[0].message.content}) | from_entries) as $answers |
    ($truth | map({key: .custom_id, value: .answer}) | from_entries) as $right |
    ($requests | length) as $count | ($truth | map(select($answers[.custom_id] == .answer)) | length) as $good |
    ([range(0; 8) | ($count * . / 8 | floor)] | unique | .[] | $requests[.] | .custom_id as $id |
      "  " + (.body.messages[-1].content | tostring | pad(44)) + " " + ($answers[$id] // "(failed)") +
      if $right[$id] and $right[$id] != $answers[$id] then "   (should be \($right[$id]))" else "" end),
    if $truth == [] then "" else
      "\n  accuracy      \($good) of \($truth | length) right, \($good * 10000 / ($truth | length) | round / 100) %" end'
  printf '  answers       %s\n  sha256        %s\n' "$answers" "$(sha256sum "$answers" | cut -d' ' -f1)"
  for other in "${answers%-*}"-*.jsonl; do
    [ "$other" != "$answers" ] || continue
    if cmp -s "$other" "$answers"; then
      printf '  compared      byte for byte the same as %s\n' "$other"
    else
      printf '  compared      differs from %s\n' "$other"
    fi
  done
}

demo_farewell() {
  cat <<EOT

To go on:
  ./dev demo --stay                  leave it running and open the dashboard
  ./dev demo --backend cpu           the same batch without Vulkan: the same bytes
  $programs/fallow --help    everything the command line does
EOT
}

demo_stay() {
  cat <<EOT

It stays. The dashboard, signed in (the browser will ask about the coordinator's own certificate):

  $(ready_value sign_in_link)

In another terminal:

  export XDG_CONFIG_HOME=$stack_folder/config
  $programs/fallow devices
  $programs/fallow submit $example/batch.jsonl --wait -o out.jsonl

Ctrl-C ends it and removes its folder.
EOT
  wait -n "${stack_processes[@]}" || true
  stack_fail "a program ended by itself" coordinator agent
}
