"""Reads datasets back with the libraries that are there for it; a process of its own.

The argument is a JSON list of [library, address]; printed is, for each, the rows: the hash of the
bytes, their hash as recorded, and whatever of the row is asked after in the tests. The libraries
take seconds to import, and warn.
"""

import hashlib
import json
import sys
from pathlib import Path

import datasets
import pyarrow.parquet
import webdataset

datasets.disable_progress_bars()


def folder(path):
    """`load_dataset` of a folder with a card: pictures undecoded, then one of them decoded."""
    loaded = datasets.load_dataset(path)["train"]
    column = next((n for n, f in loaded.features.items() if isinstance(f, datasets.Image)), None)
    return [dict(row) for row in loaded] if column is None else undecoded(loaded, column)


def undecoded(loaded, column):
    """Rows with the hash of what is in a column; the first with the size of its picture, too."""
    rows = []
    for row in loaded.cast_column(column, datasets.Image(decode=False)):
        file = row.pop(column)
        rows.append(row | (row.pop("json", None) or {}))
        if file is not None:
            rows[-1]["found"] = digest(file["bytes"] or Path(file["path"]).read_bytes())
    rows[0]["decoded"] = loaded[0][column].size
    return rows


def shards(pattern):
    """The same by `webdataset`."""
    paths = sorted(map(str, Path().glob(pattern)))
    rows = []
    for sample in webdataset.WebDataset(paths, shardshuffle=False):
        (extension,) = {name for name in sample if not name.startswith("__")} - {"json"}
        row = json.loads(sample["json"])
        rows.append(row | {"found": digest(sample[extension]), "key": sample["__key__"]})
    return rows


def table(pattern):
    """The same by `pyarrow`."""
    rows = pyarrow.parquet.ParquetDataset(pattern).read().to_pylist()
    for row in rows:
        file = row.pop("image", None) or row.pop("file")
        row["found"] = digest(file["bytes"])
    return rows


def packaged(path):
    """By the name of the format, without any card."""
    loaded = datasets.load_dataset("parquet", data_files=f"{path}/data/*.parquet")["train"]
    return undecoded(loaded, "image")


def digest(data):
    return hashlib.sha256(data).hexdigest()


def told(reader, path):
    try:
        return reader(path)
    except Exception as error:  # noqa: BLE001  what it was is looked at by the test
        return repr(error)


READERS = {"datasets": folder, "webdataset": shards, "pyarrow": table, "packaged": packaged}
answers = [told(READERS[name], path) for name, path in json.loads(sys.argv[1])]
sys.stdout.write(json.dumps(answers, default=digest))
