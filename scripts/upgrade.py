"""Renew the pinned versions in `requirements/`, and say what changed. Needs uv.

| file | what it holds |
|---|---|
| `dev.txt` | the newest versions of everything: what `make test` runs on |
| `run.txt` | of these, what a plain run needs: what `make demo` runs on |
| `lowest.txt` | the lowest versions that `pyproject.toml` names: what `make test-lowest` runs on |

Each holds for all Pythons and systems at once, by markers.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "requirements"
_PIN = re.compile(r"^([\w.-]+)==([^\s;]+)", re.MULTILINE)
_HEADER = "# Made by `make upgrade`; what is asked for stands in pyproject.toml.\n"


def main() -> None:
    """Resolve all files anew; print a line for each package that changed."""
    uv = shutil.which("uv") or shutil.which("uv", path=Path(sys.executable).parent)
    if uv is None:
        sys.exit("upgrade: uv is needed\n    python -m pip install uv")
    FOLDER.mkdir(exist_ok=True)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    build = "\n".join([*project["build-system"]["requires"], "editables>=0.5"])
    _resolve(uv, "dev", build, "--extra=dev")
    _resolve(uv, "run", build, "--constraints=requirements/dev.txt")
    _resolve(uv, "lowest", build, "--extra=dev", "--resolution=lowest-direct")


def _resolve(uv: str, name: str, build: str, *options: str) -> None:
    path = FOLDER / f"{name}.txt"
    before = _pins(path.read_text("utf-8")) if path.exists() else {}
    command = [
        *(uv, "pip", "compile", "--quiet", "--universal", "--python-version=3.11"),
        *("--no-header", "--no-annotate", "--upgrade", *options, "pyproject.toml", "-"),
    ]
    done = subprocess.run(
        command, cwd=ROOT, input=build, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"upgrade: uv found no versions for {path.name}; it is as it was")
    path.write_text(_HEADER + done.stdout, "utf-8")
    after = _pins(done.stdout)
    print(f"requirements/{path.name}: {len(after)} packages")
    for package in sorted({*before, *after}):
        was, now = before.get(package, "–"), after.get(package, "–")
        if was != now:
            print(f"  {package:<24} {was} → {now}")


def _pins(text: str) -> dict[str, str]:
    """Package to version; where markers choose among several, all of them."""
    found: dict[str, list[str]] = {}
    for name, version in _PIN.findall(text):
        found.setdefault(name, []).append(version)
    return {name: ", ".join(sorted(versions)) for name, versions in found.items()}


if __name__ == "__main__":
    main()
