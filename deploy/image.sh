#!/bin/sh
# Build as the Dockerfile does, of nothing but what .dockerignore lets through, into an empty folder; then run what is there.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 711 "$folder"
mkdir "$folder/source"
cd "$here"
sed -n 's/^!//p' .dockerignore | xargs cp -R --parents -t "$folder/source"
UV=$here/.venv/bin/uv sh "$folder/source/deploy/build.sh" "$folder/app"
rm -rf "$folder/source"
PILLARS_TEST_PREFIX=$folder/app .venv/bin/pytest -q -p no:cacheprovider tests/deploy/test_shipped.py
