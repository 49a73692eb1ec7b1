"""Parquet, by way of pyarrow: batches of rows, with the types of the columns.

What JSON has not is made into what it has: dates and times become ISO 8601 text (those with a zone
in UTC, to the microsecond), decimals numbers where a number holds them and text where not, NaN
null. Bytes are refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from batchgen.core.catalog.validation import quoted
from batchgen.core.manifest.rows.row import ROW_NUMBER, Row
from batchgen.core.manifest.text.scalars import MAX_INTEGER
from batchgen.sources.rows.row_file import Items, RowFile

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH_ROWS = 1_000
_BUFFER_BYTES = 2**20
"""Read at a time of each column, instead of a whole row group."""

_Convert = Callable[[Any], Any]


class _ColumnError(ValueError):
    """A column that cannot become fields."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.remedy = remedy


def parquet_rows(file: RowFile) -> Items:
    """The rows of a file, with memory for one batch and one page of each column.

    A row is called by its number in the file, since there are no lines.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415  an extra, and only for files of this kind
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError:
        remedy = "python -m pip install pyarrow"
        yield file.fault(0, "rows from Parquet need the library pyarrow", remedy)
        return
    number = 0
    try:
        with pq.ParquetFile(file.path, buffer_size=_BUFFER_BYTES, pre_buffer=False) as opened:
            converts = _converts(opened.schema_arrow)
            for batch in opened.iter_batches(_BATCH_ROWS, use_threads=False):
                for fields in _fields(batch, converts):
                    number += 1
                    fields[ROW_NUMBER] = file.rows_before + number
                    yield Row(file.name, number, fields[ROW_NUMBER], fields)
    except _ColumnError as error:
        yield file.fault(number and number + 1, str(error), error.remedy)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = " ".join(str(error).split())[:200]
        yield file.fault(0, f"the file is no whole Parquet file: {reason}", "write it anew")


def _converts(schema: pa.Schema) -> dict[str, _Convert]:
    """How the values of each column become JSON. Raises `_ColumnError`."""
    twice = sorted({name for name in schema.names if schema.names.count(name) > 1})
    if twice:
        raise _ColumnError(f"two columns are called {quoted(twice[0])}", "rename one of them")
    converts = {}
    for field in schema:
        try:
            converts[field.name] = _convert(field.type)
        except _ColumnError as error:
            what = f"the column {quoted(field.name)} holds {error}"
            raise _ColumnError(what, error.remedy) from None
    return converts


def _fields(batch: pa.RecordBatch, converts: dict[str, _Convert]) -> Iterator[dict[str, Any]]:
    """The rows of a batch, column by column: that is many times faster than row by row."""
    columns = []
    for name, array in zip(batch.schema.names, batch.columns, strict=True):
        convert = converts[name]
        try:
            values = _exact(array).to_pylist()
            columns.append(values if convert is _same else [convert(value) for value in values])
        except _ColumnError as error:
            what = f"the column {quoted(name)} holds, here or soon after, {error}"
            raise _ColumnError(what, error.remedy) from None
        except (ValueError, OverflowError) as error:
            what = f"the column {quoted(name)} holds, here or soon after, what cannot be read"
            raise _ColumnError(f"{what}: {error}", "mend the value, or leave it null") from None
    names = tuple(converts)
    for values in zip(*columns, strict=True):
        yield dict(zip(names, values, strict=True))


def _exact(array: pa.Array) -> pa.Array:
    """With values that Python has: no nanoseconds, no 32-bit numbers that print as 0.1000000015."""
    import pyarrow as pa  # noqa: PLC0415  loaded by now

    kind = array.type
    if pa.types.is_dictionary(kind):
        return _exact(array.dictionary_decode())
    if pa.types.is_timestamp(kind):
        return array.cast(pa.timestamp("us", "UTC" if kind.tz else None), safe=False)
    if pa.types.is_time64(kind):
        return array.cast(pa.time64("us"), safe=False)
    if pa.types.is_float16(kind):
        return _exact(array.cast(pa.float32()))
    if pa.types.is_float32(kind):
        return array.cast(pa.string()).cast(pa.float64())
    return array


def _convert(kind: pa.DataType) -> _Convert:
    """What makes JSON of the values of a type. Raises `_ColumnError`."""
    from pyarrow import types  # noqa: PLC0415  loaded by now

    if types.is_dictionary(kind):
        return _convert(kind.value_type)
    if any(test(kind) for test in (types.is_null, types.is_boolean, types.is_integer)):
        return _same
    if any(test(kind) for test in (types.is_string, types.is_large_string)):
        return _same
    if types.is_floating(kind):
        return _finite
    if types.is_decimal(kind):
        return _decimal
    if any(test(kind) for test in (types.is_date, types.is_time, types.is_timestamp)):
        return lambda value: None if value is None else value.isoformat()
    if any(test(kind) for test in (types.is_list, types.is_large_list, types.is_fixed_size_list)):
        return _list_of(_convert(kind.value_type))
    if types.is_struct(kind):
        fields = [kind.field(index) for index in range(kind.num_fields)]
        return _object_of({field.name: _convert(field.type) for field in fields})
    raise _refused(kind)


def _refused(kind: pa.DataType) -> _ColumnError:
    from pyarrow import types  # noqa: PLC0415  loaded by now

    if "binary" in str(kind):
        remedy = "leave it out, or write the files into a folder and give their paths or URLs"
        return _ColumnError("bytes, which no parameter takes", remedy)
    if types.is_duration(kind):
        return _ColumnError("durations", "turn it into a number of seconds")
    return _ColumnError(f"values of the type {kind}", "turn it into text, numbers or lists of them")


def _same(value: Any) -> Any:
    return value


def _finite(value: float | None) -> float | None:
    if value is None or math.isnan(value):
        return None
    if math.isinf(value):
        raise _ColumnError("an infinite number", "write a finite one, or null")
    return value


def _decimal(value: Decimal | None) -> int | float | str | None:
    """A number where that is exact."""
    if value is None:
        return None
    if value == value.to_integral_value() and abs(value) <= MAX_INTEGER:
        return int(value)
    near = float(value)
    return near if Decimal(repr(near)) == value else str(value)


def _list_of(convert: _Convert) -> _Convert:
    return lambda values: None if values is None else [convert(value) for value in values]


def _object_of(converts: dict[str, _Convert]) -> _Convert:
    return lambda value: (
        None
        if value is None
        else {name: convert(value[name]) for name, convert in converts.items()}
    )
