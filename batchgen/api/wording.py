"""Errors in the words of Python: what the command line calls `--on-change keep` is an argument."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from batchgen.errors import ManifestError, StoppedEarly, UserError

_WORDS: Mapping[str, str] = {
    r"; `batchgen plan [^`]*` names both": "",
    r"--on-change (keep|rerun)": r'on_change="\1"',
    r"--run-dir\b": "run_dir=…",
    r"--allow-unknown-price\b": "allow_unknown_price=True",
    r"--simulate\b": "simulate=True",
    r"\bexport (SEGMIND_API_KEY)=(SG_…)": r'os.environ["\1"] = "\2"',
}


def in_python(text: str) -> str:
    """A text with the options of the command line as the arguments they are here."""
    for written, meant in _WORDS.items():
        text = re.sub(written, meant, text)
    return text


def translated(error: BaseException) -> BaseException:
    """The error with its text so; it stays what it is. Bugs and faults of Python stay untouched."""
    if isinstance(error, ManifestError):
        return ManifestError([replace(p, remedy=in_python(p.remedy)) for p in error.problems])
    if isinstance(error, (UserError, StoppedEarly)):
        error.args = (in_python(str(error)), *error.args[1:])
    return error
