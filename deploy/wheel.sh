#!/bin/sh
# Build the wheel, install it where no source is, try it in an empty folder, and run the smoke tests on it.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 711 "$folder"
"$here/.venv/bin/uv" build --quiet --wheel --out-dir "$folder/dist" "$here"
"$here/.venv/bin/uv" venv --quiet --python "$python" "$folder/venv"
wheel=$(ls "$folder"/dist/*.whl)
"$here/.venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" "$wheel[dev,test]"
mkdir -m 711 "$folder/empty"
(cd "$folder/empty" && "$folder/venv/bin/python" "$here/deploy/empty.py" "$folder/empty")
mkdir -p "$folder/app/sql"
cp -r "$here/tests" "$here/bench" "$here/docs" "$here/jobs" "$here/crons" "$here/page" "$here/pyproject.toml" "$here/README.md" "$folder/app/"
cp -r "$here/sql/app" "$folder/app/sql/"
cd "$folder/app"
"$folder/venv/bin/app" --version
"$folder/venv/bin/python" -c "import pillars, sys; sys.exit('site-packages' not in pillars.__file__)"
"$folder/venv/bin/pytest" -q -m smoke -p no:cacheprovider
