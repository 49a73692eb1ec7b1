#!/bin/sh
# Make the virtual environment given as $1 with batchgen and its development extras in it.
# uv is used when it is on the PATH or can be had by pip; plain venv and pip otherwise.
set -eu
venv=$1
python=${PYTHON:-python3}

"$python" - <<'PY' || { echo "setup: python 3.11 or newer is needed; set PYTHON=/path/to/python3" >&2; exit 1; }
import sys
sys.exit(sys.version_info < (3, 11))
PY

install_with_pip() {
    echo "setup: creating $venv with pip" >&2
    "$python" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --editable '.[dev]'
}

if ! command -v uv >/dev/null 2>&1; then
    install_with_pip
    exit
fi
echo "setup: creating $venv with uv" >&2
{ [ -x "$venv/bin/python" ] || uv venv --quiet --python "$python" "$venv"; } &&
    uv pip install --quiet --python "$venv/bin/python" --editable '.[dev]' || install_with_pip
