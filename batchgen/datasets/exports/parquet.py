"""Parquet shards with the bytes embedded: a column that `datasets` decodes, and typed others."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

from batchgen.core.dataset.columns import Columns
from batchgen.core.dataset.export import PlannedFile
from batchgen.core.dataset.types import ColumnType
from batchgen.core.media.formats import Family
from batchgen.datasets.exports.originals import Opened
from batchgen.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

GROUP_ROWS = 100
"""Rows of a group: what `datasets` itself writes where a column holds pictures."""
GROUP_BYTES = 64 * 1024 * 1024
"""A group is held in memory, by the writer and later by each reader."""
MOST_BYTES = 2**31 - 1
"""Of one value, as Arrow counts them."""
_ROW_COST = 200

_DTYPES: Mapping[ColumnType, str] = {
    ColumnType.FLAG: "bool",
    ColumnType.WHOLE: "int64",
    ColumnType.LARGE: "int64",
    ColumnType.NUMBER: "float64",
}
"""As `datasets` and Arrow call them; all others are text."""
_UNOPENED = {
    "bytes": {"dtype": "binary", "_type": "Value"},
    "path": {"dtype": "string", "_type": "Value"},
}
"""What loaders see of a file that they do not open."""


class ParquetFormat:
    """One column for the file (`image`, `audio`, `video`, or `file` where they are mixed)."""

    extension = "parquet"
    subfolder = "data"
    """Readers of a folder of Parquet files take the card for a broken one."""

    def __init__(self, columns: Columns, medium: Family) -> None:
        """Raises `UserError` where pyarrow is not installed."""
        try:
            import pyarrow.parquet  # noqa: PLC0415  an extra, and slow to import
        except ImportError as error:
            raise UserError(
                "Parquet needs the library pyarrow, which is not installed\n"
                "    python -m pip install pyarrow"
            ) from error
        self._pa = pyarrow
        self._medium = medium.name
        self._feature = {"_type": medium.feature} if medium.feature else _UNOPENED
        self._schema = self._schema_of(columns)

    def cost(self, file: PlannedFile) -> int:
        """The bytes, and a guess at the row: it is compressed."""
        return file.size + _ROW_COST

    def write(self, target: BinaryIO, files: Iterator[Opened]) -> None:
        """One shard, group by group."""
        media = f"{self._medium}.bytes"
        names = [name for name in self._schema.names if name != self._medium]
        others = [f"{self._medium}.path", *names]
        options: dict[str, Any] = {
            # Media are compressed already, and no two alike.
            "compression": {**dict.fromkeys(others, "zstd"), media: "none"},
            "use_dictionary": others,
            "write_statistics": others,
        }
        with self._pa.parquet.ParquetWriter(target, self._schema, **options) as writer:
            for rows in self._groups(files):
                table = self._pa.Table.from_pylist(rows, schema=self._schema)
                writer.write_table(table, row_group_size=len(rows))

    def _groups(self, files: Iterator[Opened]) -> Iterator[list[dict[str, Any]]]:
        rows: list[dict[str, Any]] = []
        size = 0
        for file, handle in files:
            if file.size > MOST_BYTES:
                raise UserError(
                    f"{file.name} has {file.size} bytes, and Parquet takes {MOST_BYTES} in one "
                    "value; leave it out with a filter, or export webdataset or imagefolder"
                )
            if rows and (len(rows) >= GROUP_ROWS or size + file.size > GROUP_BYTES):
                yield rows
                rows, size = [], 0
            name = file.name.rpartition("/")[2]
            media = {"bytes": handle.read(), "path": name}
            rows.append({self._medium: media, **file.row})
            size += file.size
        if rows:
            yield rows

    def _schema_of(self, columns: Columns) -> pa.Schema:
        pa = self._pa
        media = pa.struct({"bytes": pa.binary(), "path": pa.string()})
        fields = [pa.field(self._medium, media)]
        features: dict[str, Any] = {self._medium: self._feature}
        for column in columns.all:
            dtype = _DTYPES.get(column.kind, "string")
            fields.append(pa.field(column.name, pa.type_for_alias(dtype)))
            features[column.name] = {"dtype": dtype, "_type": "Value"}
        return pa.schema(fields, {"huggingface": json.dumps({"info": {"features": features}})})
