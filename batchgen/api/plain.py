"""Values of Python programs as the plain ones that a manifest knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from os import PathLike, fspath
from typing import Any

from batchgen.core.manifest.expansion.input_files import PREFIX

_AS_IT_IS = (str, int, float, bool, type(None))


def literal(text: str) -> str:
    """A text that means itself where templates are expected: its braces are doubled."""
    return text.replace("{", "{{").replace("}", "}}")


@dataclass(frozen=True, slots=True)
class PlainKind:
    """What values are for: their texts may be `templates`, their paths local `files`."""

    templates: bool = False
    files: bool = False


ROWS = PlainKind(files=True)
PARAMS = PlainKind(templates=True, files=True)
SETTINGS = PlainKind()


def plain(value: Any, kind: PlainKind = SETTINGS) -> Any:
    """Mappings and sequences as dicts and lists, paths as files, numbers of arrays as numbers.

    Where paths are local files, they are written so that they are uploaded, whatever the parameter;
    in templates their braces mean themselves. What is none of these is left as it is: whoever
    checks the value tells of it.
    """
    if isinstance(value, Enum):
        return plain(value.value, kind)
    if isinstance(value, _AS_IT_IS):
        return value
    if isinstance(value, Mapping):
        return {key: plain(item, kind) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, kind) for item in value]
    if isinstance(value, PathLike):
        path = fspath(value)
        name = path if isinstance(path, str) else path.decode(errors="surrogateescape")
        name = PREFIX + name if kind.files else name
        return literal(name) if kind.templates else name
    if hasattr(value, "dtype") and hasattr(value, "tolist"):  # NumPy's numbers and arrays
        return plain(value.tolist(), kind)
    return value
