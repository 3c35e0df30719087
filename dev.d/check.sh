# Format and lint. Sourced by dev.
# shellcheck shell=bash

check_verb() {
  need_packages build check
  local files=("$@") sources scripts status=0
  [ $# -gt 0 ] || mapfile -t files < <(git ls-files)
  mapfile -t sources < <(printf '%s\n' "${files[@]}" | grep -E '\.(cc|h)$' || true)
  # dev.d/*.sh are read as parts of dev.
  mapfile -t scripts < <(printf '%s\n' "${files[@]}" | sed 's|^dev\.d/.*|dev|' | grep -E '^dev$|\.sh$|^\.ci/run$' | sort -u)
  [ ${#scripts[@]} -eq 0 ] || shellcheck -x "${scripts[@]}" || status=1
  [ ${#sources[@]} -eq 0 ] || clang-format-14 --dry-run -Werror "${sources[@]}" || status=1
  tidy "${sources[@]}" || status=1
  [ "$status" -eq 0 ] && say "check: nothing to say"
  return "$status"
}

# tidy FILE…: clang-tidy over those of the files that the release build compiles.
tidy() {
  local units
  mapfile -t units < <(printf '%s\n' "$@" | grep -E '\.cc$' || true)
  [ ${#units[@]} -gt 0 ] || return 0
  build release # generated headers must be there
  # As in CMakeLists.txt: libstdc++ 12 offers <expected> to clang only so. And clang 16 knows C++23 by its working name.
  mkdir -p build/tidy
  sed 's/-std=c++23/-std=c++2b/g' build/release/compile_commands.json >build/tidy/compile_commands.json
  printf '%s\n' "${units[@]}" | while read -r unit; do
    if grep -q "\"file\": \"$PWD/$unit\"" build/tidy/compile_commands.json; then echo "$unit"; fi
  done | xargs -r -n 1 -P "$(build_jobs)" clang-tidy-16 -p build/tidy --quiet \
    --extra-arg=-U__cpp_concepts --extra-arg=-D__cpp_concepts=202002L \
    --extra-arg=-Wno-builtin-macro-redefined --extra-arg=-Wno-unknown-warning-option
}
