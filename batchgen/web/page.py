"""The page as HTML: markup, style and scripts of the package, and data between them.

Data stands in the page as JSON that no script engine runs, and reaches it as text: nothing from
outside is ever markup. The policy allows exactly our style and script, by their hashes, and no
address but those of the outputs.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from batchgen.core.jobs.job import GROUPS, STATES, StateGroup
from batchgen.core.media.formats import FORMATS
from batchgen.core.progress.held_words import HELD

LIBRARY = "uPlot.iife.min.js"
SCRIPTS = ("tools", "filters", "sheet", "detail", "figures", "charts", "main")
"""Our scripts in the order in which they build upon each other."""
STYLES = ("uPlot.min.css", "page.css")
_MARK = "<!--{}-->"
_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})
"""Inside JSON texts these are the same characters; outside of texts JSON has none of them."""


@dataclass(frozen=True, slots=True)
class Assets:
    """What every page is made of: markup with marks in it, one style, one script."""

    markup: str
    style: str
    script: str


@cache
def assets() -> Assets:
    """The assets of the package, read once."""
    folder = files("batchgen.web") / "assets"

    def read(*names: str) -> str:
        return "\n".join((folder / name).read_text("utf-8") for name in names)

    media = {each.mime: (each.family.word, each.preview) for each in FORMATS}
    ours = f"const MEDIA = {json.dumps(media)};\n" + read(*(f"{name}.js" for name in SCRIPTS))
    script = f'{read(LIBRARY)}\n(() => {{\n"use strict";\n{ours}\n}})();\n'
    return Assets(read("page.html"), read(*STYLES), script)


def policy(*, live: bool) -> str:
    """The Content-Security-Policy of a page: of a report in a file, or of one that is served."""
    own = assets()
    # `'self'` of a file is nothing in some browsers, which is why `file:` is named beside it.
    origin = "'self'" if live else "'self' file:"
    parts = {
        "default-src": "'none'",
        "script-src": _hashed(own.script),
        "style-src": _hashed(own.style),
        "img-src": f"{origin} data:",
        "media-src": f"{origin} data:",
        "connect-src": "'self'" if live else "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in parts.items())


def _hashed(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def as_json(value: Any) -> str:
    """JSON that may stand inside a script element, whatever texts it holds."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # A lone surrogate cannot be written as UTF-8; a page line separator ends lines in old engines.
    text = text.encode("utf-8", "replace").decode()
    return text.translate(_ESCAPES)


def states() -> dict[str, Any]:
    """The states of a job and their groups, as the page's script takes them.

    `look` is the class of their colour in the style. Jobs on hold have a state and a group here:
    the script gives it to the pending jobs of the models that the summary names.
    """
    held_look = f"is-{HELD}"
    return {
        "states": {
            state.value: {
                "word": traits.word,
                "group": traits.group.value,
                "look": f"is-{StateGroup.UNKNOWN if traits.is_in_doubt else traits.group}",
            }
            for state, traits in STATES.items()
        }
        | {HELD: {"word": "on hold", "group": HELD, "look": held_look}},
        "groups": [
            {
                "name": group.value,
                "word": traits.title,
                "look": f"is-{group}",
                "about": traits.about,
                "option": traits.retry_option,
            }
            for group, traits in GROUPS.items()
        ]
        + [
            {
                "name": HELD,
                "word": "On hold",
                "look": held_look,
                "about": "The service takes no jobs of their models. Nothing was charged; they are "
                "submitted once that has changed.",
                "option": "",
            }
        ],
    }


def data_block(name: str, value: Any) -> str:
    """A JSON value that the page's script finds by its name."""
    return f'<script type="application/json" id="{name}">{as_json(value)}</script>\n'


def page(
    title: str, data: Iterable[str], later: Iterable[str] = (), *, live: bool
) -> Iterator[str]:
    """The pieces of a page. `data` are the blocks it begins with, `later` those behind its script.

    The script runs before what comes later is read, so the first tiles are there early.
    """
    own = assets()
    filled = own.markup
    for name, text in (
        ("policy", html.escape(policy(live=live))),
        ("title", html.escape(title)),
        ("style", f"<style>{own.style}</style>"),
    ):
        filled = filled.replace(_MARK.format(name), text)
    before, _, end = filled.partition(_MARK.format("data"))
    yield before
    yield data_block("job-states", states())
    yield from data
    yield f"<script>{own.script}</script>\n"
    yield from later
    yield end
