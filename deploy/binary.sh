#!/bin/sh
# Make one executable file of the application and the runtime, which needs nothing but a Python of the same minor version.
#
#     sh deploy/binary.sh [OUT [PREFIX]]    OUT is dist/app; PREFIX a folder that deploy/build.sh has built, else one is built
#
# UV and SHIV name the tools, PYTHON the interpreter that will run it.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-$here/dist/app}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
prefix=${2:-$folder/prefix}
[ $# -gt 1 ] || sh "$here/deploy/build.sh" "$prefix"
version=$("$prefix/bin/python" -c 'import sys; print("{}.{}".format(*sys.version_info))')
mkdir -p "$folder/packed/packed" "$(dirname "$out")"
cp "$here/deploy/packed.py" "$folder/packed/packed/__init__.py"
cp -R "$prefix/project" "$folder/packed/packed/project"
echo "$version" > "$folder/packed/packed/python"
"${SHIV:-shiv}" --site-packages "$prefix/lib/python$version/site-packages" --site-packages "$folder/packed" \
    --entry-point packed:main --python "/usr/bin/env python$version" --reproducible --output-file "$out"
