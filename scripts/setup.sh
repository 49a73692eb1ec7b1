#!/bin/sh
# Bring the virtual environment $1 to the pinned packages of requirements/$2.txt, with batchgen in
# it; for `latest`, to the newest of everything. uv is used where it is on the PATH, plain venv and
# pip otherwise; both say what they do.
set -eu
venv=$1 pins=$2
python=${PYTHON:-python3}

"$python" - <<'PY' || { echo "setup: python 3.11 or newer is needed; set PYTHON=/path/to/python3" >&2; exit 1; }
import sys
sys.exit(sys.version_info < (3, 11))
PY

if [ "$pins" = latest ]; then
    set -- --upgrade --editable '.[dev]' hatchling editables
    what="the newest packages"
else
    what="$(grep -c '^[a-z]' "requirements/$pins.txt") packages of requirements/$pins.txt"
    set -- --requirement "requirements/$pins.txt"
fi
# batchgen's own build needs nothing but what is pinned: no second environment is made for it.
if command -v uv >/dev/null 2>&1; then
    echo "setup: $what into $venv, with uv" >&2
    [ -x "$venv/bin/python" ] || uv venv --quiet --python "$python" "$venv"
    uv pip install --python "$venv/bin/python" "$@"
    uv pip install --quiet --python "$venv/bin/python" --no-deps --no-build-isolation --editable .
else
    echo "setup: $what into $venv, with pip" >&2
    [ -x "$venv/bin/pip" ] || "$python" -m venv "$venv"
    export PIP_DISABLE_PIP_VERSION_CHECK=1
    # Bytecode is made when a module is first imported: most are never.
    "$venv/bin/python" -m pip install --no-compile --progress-bar off "$@"
    "$venv/bin/python" -m pip install --quiet --no-deps --no-build-isolation --editable .
fi
