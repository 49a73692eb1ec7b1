"""Batches made from Python values: what they may hold, and how mistakes are told."""

import gc
import tempfile
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

import batchgen
from batchgen import errors
from batchgen.api.batch import EntryKeys
from batchgen.api.options import Options, Settings
from batchgen.api.plain import PARAMS, ROWS, plain
from batchgen.cli.run import command as run_command
from batchgen.core.manifest.entry import Entry
from batchgen.core.manifest.text.templates import compile_value


def problems(batch):
    with pytest.raises(batchgen.ManifestError) as raised:
        batch.loaded(None)
    return [(p.file, p.line, p.key) for p in raised.value.problems]


def test_an_entry_takes_every_key_of_a_manifest():
    keys = {field.alias or name for name, field in Entry.model_fields.items()}
    assert {name.removesuffix("_") for name in EntryKeys.__annotations__} == keys


def test_settings_are_the_options():
    assert set(Settings.__dataclass_fields__) == set(Options.__annotations__)


@pytest.mark.parametrize(
    ("entry", "where"),
    [
        ({"params": {"prompt": "a {colour}"}}, ("", 0, "jobs[1].params.prompt")),
        ({"model": "not a slug"}, ("", 0, "jobs[1].model")),
        ({"id": "a/b"}, ("", 0, "jobs[1].id")),
        ({"id": "good"}, ("", 0, "jobs[1].id")),
        ({"price": -1}, ("", 0, "jobs[1].price")),
        ({"paramz": {}}, ("", 0, "jobs[1].paramz")),
        ({"matrix": {"seed": 3}}, ("", 0, "jobs[1].matrix.seed")),
        ({"params": {"prompt": {1, 2}}}, ("", 0, "jobs[1].params")),
        ({"from_": "nowhere.csv"}, ("", 0, "jobs[1].from")),
        ({"rows": [{"a": 1}, {"prompt": "x"}], "params": {"prompt": "{prompt}"}},
         ("jobs[1].rows", 1, "jobs[1].params.prompt")),
        ({"params": {"input_image": Path("nowhere.png")}}, ("", 0, "jobs[1].params.input_image")),
    ],
)  # fmt: skip
def test_mistakes_name_their_place(here, entry, where):
    batch = batchgen.Batch("cups", defaults={"model": "flux-kontext-max"})
    batch.add(id="good", params={"prompt": "a cup"})
    batch.add(**({"params": {"prompt": "a cup"}} | entry))
    assert where in problems(batch)


def test_all_mistakes_of_the_shape_are_told_at_once(here):
    batch = batchgen.Batch("a/b", budget={"requests_per_minute": 0}, retries={})
    assert problems(batch) == [("", 0, key) for key in ("name", "budget.requests_per_minute",
                                                        "jobs", "retries")]  # fmt: skip


@pytest.mark.parametrize(
    "row",
    ["text", 3, {1: "a"}, {"a": float("nan")}, {"a": plain}, {"a": {2}}, {"a": 2**70}],
    ids=range(7),
)
def test_rows_that_cannot_be_are_told_with_their_numbers(row):
    batch = batchgen.Batch("cups")
    with pytest.raises(batchgen.ManifestError) as raised:
        batch.add(rows=({"a": 1} if number % 2 else row for number in range(4)))
    assert [(p.file, p.line) for p in raised.value.problems] == [
        ("jobs[0].rows", 1),
        ("jobs[0].rows", 3),
    ]
    assert all(p.remedy for p in raised.value.problems)
    assert "0 entries" in repr(batch)


def test_rows_that_are_wrong_without_end_are_not_read_without_end():
    read = []

    def rows():
        for number in range(10_000):
            read.append(number)
            yield number

    with pytest.raises(batchgen.ManifestError):
        batchgen.Batch("cups").add(rows=rows())
    assert len(read) == 50


def test_rows_and_from_are_one_too_many():
    with pytest.raises(batchgen.ManifestError, match=r"jobs\[0\]: rows= and from_="):
        batchgen.Batch("cups").add(rows=[], from_="rows.csv")


def test_paths_are_files_only_where_files_are_meant(here):
    batch = batchgen.Batch("cups", output={"dir": Path("big")}, defaults={"model": "flux-pro"})
    batch.add(
        from_=Path("rows.csv"), matrix={"image": [Path("a.png")]}, params={"b": Path("b.png")}
    )
    manifest = batch.manifest()
    (entry,) = manifest.jobs
    assert (manifest.output.dir, entry.from_) == ("big", "rows.csv")
    assert (entry.matrix, entry.params) == ({"image": ["file:a.png"]}, {"b": "file:b.png"})
    with pytest.raises(TypeError, match="`add`"):
        batchgen.Batch("cups", jobs=[])


def test_what_rows_took_on_the_disk_goes_with_the_batch(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    batch = batchgen.Batch("cups", defaults={"model": "flux-pro"})
    batch.add(rows=({"n": n} for n in range(3)), params={"prompt": "no {n}"})
    assert [path.stat().st_size for path in tmp_path.rglob("*.jsonl")] == [27]
    loaded = batch.loaded(None)
    del batch
    gc.collect()
    assert len(list(loaded.files.open("jobs[0].rows").rows())) == 3
    del loaded
    gc.collect()
    assert list(tmp_path.iterdir()) == []


class Number:
    """As NumPy has them."""

    dtype = "int64"

    def tolist(self):
        return 7


def test_values_of_programs_become_plain_ones():
    value = {"a": (1, [Number()]), "b": PurePosixPath("x/{y}.png"), "c": batchgen.JobState.DONE}
    assert plain(value, ROWS) == {"a": [1, [7]], "b": "file:x/{y}.png", "c": "done"}
    assert plain(value, PARAMS)["b"] == "file:x/{{y}}.png"
    assert plain(value)["b"] == "x/{y}.png"
    strange = object()
    assert plain([strange])[0] is strange


@given(st.text())
def test_a_literal_text_means_itself(text):
    assert compile_value(batchgen.literal(text), ())({}) == text


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"concurrency": 0}, "concurrency is 0"),
        ({"concurrency": 2.5}, "a whole number"),
        ({"rpm": True}, "rpm is True"),
        ({"max_spend": -1}, "at least 0"),
        ({"limit": "3"}, "limit is '3'"),
        ({"speed": 0}, "at least 0.01"),
        ({"patience": float("nan")}, "patience is nan"),
        ({"on_change": "ask"}, 'give "keep" or "rerun"'),
    ],
)
def test_options_that_cannot_be(options, told):
    with pytest.raises(batchgen.UserError, match=told):
        batchgen.open("x.yaml", **options)
    with pytest.raises(TypeError):
        batchgen.open("x.yaml", concurency=3)


NAMED = [value for value in vars(errors).values() if isinstance(value, errors.Option)]


@pytest.mark.parametrize("option", NAMED, ids=str)
def test_errors_name_options_that_there_are(option):
    name = option.argument.partition("=")[0]
    assert name in Options.__annotations__
    flag, *value = option.flag.split()
    (parameter,) = [param for param in run_command.params if flag in param.opts]
    assert not value or parameter.type.convert(*value, parameter, None)


def test_remedies_speak_python():
    error = errors.UserError("run with ", errors.KEEP_CHANGED, ", or another ", errors.RUN_DIR)
    assert str(error) == "run with --on-change keep, or another --run-dir"
    error.speak_python()
    assert str(error) == 'run with on_change="keep", or another run_dir=…'
