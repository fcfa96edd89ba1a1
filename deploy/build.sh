#!/bin/sh
# Build all that runs into the folder PREFIX, and nothing else: what requirements.lock names, by hash, the runtime, and the
# application. The Dockerfile runs this; so does whoever deploys to a machine of their own.
#
#     sh deploy/build.sh PREFIX
#     PILLARS_ENV=prod PILLARS_PROJECT=PREFIX/project PREFIX/bin/app web
#
# UV names the uv to use, PYTHON the interpreter that will run it.
set -eu
prefix=${1:?usage: sh deploy/build.sh PREFIX}
mkdir -p "$prefix"
prefix=$(cd "$prefix" && pwd)
cd "$(dirname "$0")/.."

# The application: what its processes import and read. A package of your own is named here and in .dockerignore.
application="pyproject.toml fly.toml jobs crons page sql/app"

uv=${UV:-uv}
wheels=$(mktemp -d)
trap 'rm -rf "$wheels"' EXIT
"${PYTHON:-python3}" -m venv --without-pip "$prefix"
"$uv" pip install --quiet --python "$prefix/bin/python" --require-hashes --requirements requirements.lock
"$uv" build --quiet --wheel --out-dir "$wheels" .
"$uv" pip install --quiet --python "$prefix/bin/python" --no-deps "$wheels"/*.whl
rm -rf "$prefix/project"  # of an earlier build: what was removed since must not stay
for path in $application; do
    mkdir -p "$prefix/project/$(dirname "$path")"
    cp -R "$path" "$prefix/project/$path"
done
find "$prefix/project" -name __pycache__ -prune -exec rm -r {} +
# By hash and unchecked: whoever runs it may not write here, and a copy may change the times.
"$prefix/bin/python" -m compileall -q --invalidation-mode unchecked-hash "$prefix/lib" "$prefix/project"
