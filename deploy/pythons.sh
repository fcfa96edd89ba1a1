#!/bin/sh
# Every Python that is supported: an editable install by plain pip, then the wheel in an empty folder; the smoke tests on both.
# The interpreters are python3.11, python3.12 ... on PATH; PYTHONS names others.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
for python in ${PYTHONS:-python3.11 python3.12 python3.13}; do
    found=$("$python" -c 'import sys; print(sys.executable)') || { echo "$python: not found on PATH; name what there is in PYTHONS" >&2; exit 1; }
    "$found" --version
    folder=$(mktemp -d)
    chmod 711 "$folder"
    (cd "$here" && git ls-files -z | xargs -0 cp --parents -t "$folder")
    "$found" -m venv "$folder/.venv"
    "$folder/.venv/bin/pip" install --quiet -e "$folder[dev,test]"
    (cd "$folder" && .venv/bin/pytest -q -m smoke -p no:cacheprovider)
    rm -rf "$folder"
    PYTHON=$found sh "$here/deploy/wheel.sh"
done
