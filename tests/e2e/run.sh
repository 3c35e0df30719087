#!/bin/sh
# Runs one of the tests that need Node: run.sh SOURCE_FOLDER BUILD_FOLDER dashboard|openai|embeddings|page|page_changes
# What the tests need is installed into the build folder, from the lock file. Ends with 77, a skip, where a tool is absent.
set -eu
source=$1 build=$2 name=$3

skip() {
  echo "SKIPPED: $1"
  exit 77
}
command -v node >/dev/null || skip "node is not installed"
command -v npm >/dev/null || skip "npm is not installed"
case $name in
  page*) [ -x "${FALLOW_CHROMIUM:-/usr/bin/chromium}" ] || skip "Chromium is not installed" ;;
esac

# install PROJECT FOLDER: brings the project's files into FOLDER, and its packages when its lock file has changed. Another of these
# tests may be reading them: what is as it should be is left alone, and the rest replaced in one go.
install() {
  mkdir -p "$2"
  exec 9>"$2/.lock"
  flock 9
  (cd "$1" && find . \( -name node_modules -o -name dist \) -prune -o -type f -print) | while IFS= read -r file; do
    if cmp -s "$1/$file" "$2/$file"; then continue; fi
    mkdir -p "$(dirname "$2/$file")"
    cp -p "$1/$file" "$2/$file.new"
    mv "$2/$file.new" "$2/$file"
  done
  if ! cmp -s "$2/package-lock.json" "$2/.installed"; then
    (cd "$2" && npm ci --no-audit --no-fund --prefer-offline)
    cp "$2/package-lock.json" "$2/.installed"
  fi
  flock -u 9
}

if [ "$name" = dashboard ]; then
  install "$source/coordinator/dashboard" "$build/tests/dashboard"
  cd "$build/tests/dashboard"
  exec npm test
fi
install "$source/tests/e2e" "$build/tests/e2e"
cd "$build/tests/e2e"
if [ "$name" = embeddings ]; then
  python=/usr/bin/python3
  "$python" -c 'import numpy' 2>/dev/null || skip "python3-numpy, which makes the model, is not installed"
  FALLOW_EMBEDDING_MODEL=$build/tests/e2e/tiny-bert.gguf
  export FALLOW_EMBEDDING_MODEL
  "$python" "$source/tests/reference/make_fixture.py" bert Q8_0 "$FALLOW_EMBEDDING_MODEL"
fi
exec node support/with_stack.mjs "$build" "$source" "$name.test.mjs"
