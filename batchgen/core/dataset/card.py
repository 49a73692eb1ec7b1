"""The dataset card: what tells `datasets.load_dataset` which files are data, and a reader what is.

Loaders guess splits from names (`flux-kontext-dev/` would be a split of its own) and a format from
extensions; a card with `configs` leaves nothing to be guessed. What the guesses are was read in
the sources of `datasets` 5.2 (`load.py`, `data_files.py`, `folder_based_builder.py`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from batchgen.core.dataset.columns import LOADER_NAMES, Column, Columns, ColumnSource
from batchgen.core.dataset.types import ColumnType
from batchgen.core.media.formats import BY_EXTENSION, FILE, Family

_MOST_SUFFIXES = 1_000
"""Other suffixes are counted up to so many different ones: only frequent ones matter."""

_MEANINGS: Mapping[str, str] = {
    "file_name": "the file, relative to this folder",
    "id": "the job",
    "model": "the model's slug",
    "request_id": "the service's name for the request",
    "seed": "as the service reports it, else as it was asked for",
    "cost": "USD that the job cost, as the service says; for all files of the job together",
    "submitted_at": "when it was submitted, in seconds since the epoch",
    "finished_at": "when the file was complete here, in seconds since the epoch",
    "inference_s": "seconds of work, as the service says",
    "queue_s": "seconds in its queue",
    "total_s": "seconds in all",
    "sha256": "of the file, in hex",
    "width": "pixels",
    "height": "pixels",
    "bytes": "size of the file",
    "media_type": "what the file is, told from its bytes",
    "verified": "whether its bytes say what it is, and that it is whole",
    "input_tokens": "tokens that the model read, as its maker counts them",
    "output_tokens": "tokens that the model wrote, as its maker counts them",
}
_ORIGIN: Mapping[ColumnSource, str] = {
    ColumnSource.PARAM: "parameter, as it was sent",
    ColumnSource.ROW: "field of the job's row",
}
_DTYPES: Mapping[ColumnType, str] = {
    ColumnType.FLAG: "bool",
    ColumnType.WHOLE: "int64",
    ColumnType.LARGE: "int64",
    ColumnType.NUMBER: "float64",
}


def _medium(extension: str) -> Family:
    """The family of a file that loaders open; `FILE` for any other."""
    known = BY_EXTENSION.get(extension)
    return known.family if known and known.is_loaded else FILE


class NameSurvey:
    """Sees the names of all files; says what they are, and by which patterns they are found."""

    def __init__(self) -> None:
        self._extensions: Counter[str] = Counter()
        self._others: Counter[str] = Counter()
        self.unverified_count = 0

    def add(self, name: str, *, verified: bool = True) -> None:
        """See one name: a path whose last part ends in an extension."""
        self.unverified_count += not verified
        _, *suffixes = name.rpartition("/")[2].split(".")
        if not suffixes:
            return
        self._extensions[suffixes[-1]] += 1
        for suffix in suffixes[:-1]:
            if suffix in self._others or len(self._others) < _MOST_SUFFIXES:
                self._others[suffix.lower()] += 1

    @property
    def count(self) -> int:
        """How many files there are."""
        return self._extensions.total()

    @property
    def extensions(self) -> list[str]:
        """Those that occur."""
        return sorted(self._extensions)

    @property
    def medium(self) -> Family:
        """The family of all the files; `FILE` for several, and for what no loader opens.

        Also where a file is not verified: loaders stop at one that they cannot open.
        """
        if self.unverified_count:
            return FILE
        media = {_medium(extension) for extension in self._extensions}
        return media.pop() if len(media) == 1 else FILE

    @property
    def loadable(self) -> Family:
        """The same, but `FILE` where a loader would guess wrongly.

        It goes by the commonest suffix, and any suffix counts: of `notes.txt.png` two.
        """
        most = max(self._extensions.values(), default=0)
        others = (n for suffix, n in self._others.items() if suffix not in self._extensions)
        return FILE if max(others, default=0) >= most else self.medium


@dataclass(frozen=True, slots=True)
class About:
    """What a card is about: its title, and where its dataset is loaded from.

    `digest` is over all that is in it: of `metadata.jsonl`, or of what a plan of shards holds.
    """

    title: str
    path: str
    digest: str


def folder_card(about: About, columns: Columns, names: NameSurvey) -> str:
    """The card of a folder of files beside their `metadata.jsonl`."""
    medium = names.loadable
    patterns = ["metadata.jsonl"]
    if medium is not FILE:
        patterns += [f'"**/*.{extension}"' for extension in names.extensions]
    head = _configs(about, patterns) + ("" if names.count else _declared(columns))
    return _card(head, about, f"{_loads(about, medium, names)}\n\n{_table(columns)}")


def tar_card(about: About, columns: Columns, extensions: Sequence[str], *, verified: bool) -> str:
    """The card of a folder of tar shards, where each file has one of these extensions.

    Without `verified`, some file may be one that nobody can open: readers get all as bytes.
    """
    text = (
        f'`webdataset.WebDataset("{about.path}/….tar")` reads the shards, and '
        f'`datasets.load_dataset("{about.path}")` every row. A sample is a file and, as the member '
        "`json`, its row."
    )
    head = _configs(about, ['"*.tar"']) + _declared_members(columns, extensions, verified)
    return _card(head, about, f"{text}\n\n{_table(columns)}")


def parquet_card(about: About, columns: Columns, medium: Family) -> str:
    """The card of a folder whose subfolder `data` holds Parquet shards."""
    text = (
        f'`datasets.load_dataset("{about.path}")` loads every row. The bytes of a file are in the '
        f"column `{medium.name}`."
    )
    return _card(_configs(about, ['"data/*.parquet"']), about, f"{text}\n\n{_table(columns)}")


def _card(head: str, about: About, text: str) -> str:
    return f"---\n{head}---\n\n# {about.title}\n\nGenerated by batchgen. {text}\n"


def _configs(about: About, patterns: list[str]) -> str:
    """The files; and a description, which is different for each content.

    `datasets` keeps what it has loaded under the last part of the path and a hash of the card, and
    looks at no file again: of two folders called `outputs` with equal cards it would load the first
    one twice.
    """
    description = json.dumps(f"{about.title}, {about.path}, {about.digest[:16]}")
    head = f"configs:\n- config_name: default\n  description: {description}\n"
    head += "  data_files:\n  - split: train\n    path:\n"
    return head + "".join(f"    - {pattern}\n" for pattern in patterns)


def _declared(columns: Columns) -> str:
    """The features, where there is no row to infer them from."""
    return "dataset_info:\n  features:\n" + _features(columns, "  ")


def _declared_members(columns: Columns, extensions: Sequence[str], verified: bool) -> str:
    """The features of tar shards, which would be inferred from the first five keys.

    Nothing is declared where a file is itself JSON of any shape.
    """
    if "json" in extensions:
        return ""
    members = "".join(
        f"  - name: {extension}\n    dtype: {_member_dtype(extension, verified)}\n"
        for extension in extensions
    )
    row = f"  - name: json\n    struct:\n{_features(columns, '    ')}"
    keys = "".join(f"  - name: {name}\n    dtype: string\n" for name in ("__key__", "__url__"))
    return f"dataset_info:\n  features:\n{members}{row}{keys}"


def _member_dtype(extension: str, verified: bool) -> str:
    medium = _medium(extension) if verified else FILE
    if medium is FILE:
        return "string" if extension == "txt" else "binary"
    return medium.name


def _features(columns: Columns, indent: str) -> str:
    return "".join(
        f"{indent}- name: {json.dumps(column.name)}\n"
        f"{indent}  dtype: {_DTYPES.get(column.kind, 'string')}\n"
        for column in columns.all
    )


def _loads(about: About, medium: Family, names: NameSurvey) -> str:
    load = f'`datasets.load_dataset("{about.path}")`'
    if not names.count:
        return f"No file is finished yet, so {load} finds no data."
    if names.unverified_count:
        return (
            f"{load} loads every row of `metadata.jsonl`, with the path of its file in "
            f"`file_name`: {names.unverified_count} of the files are not verified, and loaders "
            "would stop at one that they cannot open. `batchgen export` makes a folder of the "
            "pictures that are, with `--where media_type='image/*' --where verified=true`."
        )
    if medium is FILE:
        return (
            f"{load} loads every row of `metadata.jsonl`, with the path of its file in "
            "`file_name`: the files are not all of one medium that loaders open. `batchgen export` "
            "makes a folder of the pictures alone, with `--where media_type='image/*'`."
        )
    return (
        f"{load} loads every row of `metadata.jsonl`, with its file in the column "
        f"`{medium.name}`. The `configs` above name the files, because path parts such as `dev`, "
        "`test` or `train` would otherwise be taken for splits."
    )


def _table(columns: Columns) -> str:
    rows = (f"| `{_escaped(column.name)}` | {_meaning(column)} |" for column in columns.all)
    return "\n".join(("| column | what it is |", "| --- | --- |", *rows))


def _meaning(column: Column) -> str:
    if column.source is ColumnSource.OWN:
        return _MEANINGS.get(column.key, "")
    text = _ORIGIN[column.source]
    if column.name != column.key:
        reason = "a word of loaders" if column.key in LOADER_NAMES else "taken"
        text += f"; there called `{_escaped(column.key)}`, which is {reason} here"
    if column.kind is ColumnType.JSON:
        text += "; each value as JSON text, because they are not all of one simple kind"
    return text


def _escaped(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("`", "'").split())


METADATA_NOTE = "metadata"
"""The note of the state that says what the dataset files were made from. Whoever changes what is
known of finished files, and leaves the files themselves, removes it."""
