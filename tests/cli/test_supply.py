"""Jobs on their way into the state: at once, beside a run, after a death, after an edit."""

from __future__ import annotations

import json
import os

import pytest

from batchgen.app.ingest import CHUNK, CHUNK_CHARACTERS, Ingest
from batchgen.app.manifest_file import SAMPLE, load_manifest
from batchgen.core.manifest.expansion.expand import FEW, SAMPLE_CHARACTERS
from batchgen.errors import ManifestError, UserError
from batchgen.sources.import_note import NAME
from batchgen.store.sqlite.importer import Imported, OnChange
from batchgen.store.sqlite.state import SqliteState

MANY = SAMPLE + 2 * CHUNK + 7


class DiedError(Exception):
    """Stands for the end of the process."""


class Place:
    """A manifest of rows and a state beside it."""

    def __init__(self, folder):
        self.folder = folder
        self.rows = folder / "rows.jsonl"
        self.path = folder / "m.yaml"
        self.manifest()

    def manifest(self, id_="{row}", prompt="{p}"):
        self.path.write_text(
            "version: 1\nname: x\njobs:\n"
            f'  - {{from: rows.jsonl, id: "{id_}", model: flux-pro,'
            f' params: {{prompt: "{prompt}"}}}}\n'
        )

    def write(self, count, **odd):
        """So many rows; `odd` ones by number: `_7={"p": 3}`."""
        lines = [json.dumps(odd.get(f"_{n}", {"p": f"cup {n}"})) for n in range(1, count + 1)]
        self.rows.write_text("\n".join(lines))

    def state(self):
        return SqliteState(self.folder / "state.db")

    def supply(self, state):
        return Ingest(load_manifest(self.path), state)


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


async def fed(supply, *, with_prices=False):
    """The sizes of the chunks that came."""
    sizes = []
    await supply.feed(sizes.append, with_prices=with_prices)
    return sizes


def ids(state):
    return [row[0] for row in state.ledger.connection.execute("SELECT id FROM jobs ORDER BY key")]


def names(count):
    return [str(number) for number in range(1, count + 1)]


async def test_a_small_manifest_is_there_at_once_and_not_read_again(place):
    place.write(10)
    with place.state() as state:
        supply = place.supply(state)
        assert supply.begin(OnChange.STOP, 0.0) == Imported(new=10)
        assert not supply.under_way
        assert place.supply(state).begin(OnChange.STOP, 0.0) == Imported(unchanged=10)


async def test_of_a_large_one_the_first_jobs_are_there_at_once_and_the_others_follow(place):
    place.write(MANY)
    with place.state() as state:
        supply = place.supply(state)
        assert supply.begin(OnChange.STOP, 0.0) == Imported(new=SAMPLE)
        assert supply.under_way
        assert ids(state) == names(SAMPLE)

        assert await fed(supply) == [CHUNK, CHUNK, 7]

        assert not supply.under_way
        assert ids(state) == names(MANY)
        again = place.supply(state)
        assert again.begin(OnChange.STOP, 0.0) == Imported(unchanged=MANY)
        assert not again.under_way


@pytest.mark.parametrize("there", [SAMPLE, SAMPLE + CHUNK, MANY])
async def test_a_run_that_died_goes_on_where_it_was(place, there):
    place.write(MANY)
    with place.state() as state:
        supply = place.supply(state)
        supply.begin(OnChange.STOP, 0.0)

        def die_at(added):
            if len(ids(state)) >= there:
                raise DiedError(added)

        if there > SAMPLE:
            with pytest.raises(DiedError):
                await supply.feed(die_at, with_prices=False)
        assert len(ids(state)) == there

    with place.state() as state:
        supply = place.supply(state)
        assert supply.begin(OnChange.STOP, 0.0) == Imported(unchanged=there)
        assert supply.under_way

        assert sum(await fed(supply)) == MANY - there
        assert ids(state) == names(MANY)


async def test_rows_edited_after_a_death_are_compared_as_a_whole(place):
    place.write(MANY)
    with place.state() as state:
        place.supply(state).begin(OnChange.STOP, 0.0)

    place.write(MANY, _3={"p": "a jug"})
    with place.state() as state:
        supply = place.supply(state)
        assert supply.begin(OnChange.STOP, 0.0) == Imported(
            new=MANY - SAMPLE, changed=1, unchanged=SAMPLE - 1
        )
        assert not supply.under_way
        assert '"a jug"' in state.ledger.draw(2, 1)[0].body


async def test_an_edited_manifest_is_compared_before_anything_runs(place):
    place.write(MANY)
    with place.state() as state:
        supply = place.supply(state)
        supply.begin(OnChange.STOP, 0.0)
        await fed(supply)

        place.manifest(prompt="{p}, ink")
        changed = place.supply(state).begin(OnChange.STOP, 0.0)
        place.write(SAMPLE + 1)
        dropped = place.supply(state).begin(OnChange.STOP, 0.0)

    assert changed == Imported(changed=MANY)
    assert dropped == Imported(unchanged=SAMPLE + 1, dropped=MANY - SAMPLE - 1)


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"q": 1}, "the row has no field p"),
        ({"p": 3}, "prompt is 3"),
        ([], "this is a list"),
    ],
    ids=str,
)
async def test_a_later_row_that_cannot_be_ends_the_supply_with_its_line(place, row, what):
    bad = SAMPLE + CHUNK + 100
    place.write(MANY, **{f"_{bad}": row})
    with place.state() as state:
        supply = place.supply(state)
        supply.begin(OnChange.STOP, 0.0)

        with pytest.raises(ManifestError) as caught:
            await fed(supply)

        (problem,) = caught.value.problems
        assert (problem.file, problem.line) == (str(place.rows), bad)
        assert what in problem.what
        assert ids(state) == names(SAMPLE + CHUNK), "the chunks before it stay"


async def test_a_thousand_bad_rows_are_not_waited_for(place):
    place.write(SAMPLE + 100)
    place.rows.write_text(place.rows.read_text() + "\n[]" * 1_000)
    with place.state() as state:
        supply = place.supply(state)
        supply.begin(OnChange.STOP, 0.0)
        with pytest.raises(ManifestError, match=r"\(and 49 more like it\)"):
            await fed(supply)


async def test_a_later_id_that_is_taken_is_told(place):
    place.manifest(id_="{p}")
    place.write(MANY, **{f"_{MANY}": {"p": "cup 5"}})
    with place.state() as state:
        supply = place.supply(state)
        supply.begin(OnChange.STOP, 0.0)
        with pytest.raises(UserError, match='the id "cup-5" is taken by an earlier job'):
            await fed(supply)


async def test_ids_that_differ_by_case_only_are_told_in_the_end(place):
    place.manifest(id_="{p}")
    place.write(SAMPLE + 9, **{f"_{SAMPLE + 5}": {"p": "CUP 5"}})
    with place.state() as state:
        supply = place.supply(state)
        supply.begin(OnChange.STOP, 0.0)
        with pytest.raises(ManifestError, match="differ only by case"):
            await fed(supply)


async def test_under_a_cap_a_later_job_without_a_price_ends_the_supply(place):
    place.write(SAMPLE + 1)
    with place.state() as state:
        supply = place.supply(state)
        supply.begin(OnChange.STOP, 0.0)
        with pytest.raises(UserError, match="none is known for flux-pro"):
            await fed(supply, with_prices=True)


async def test_rows_that_change_while_they_are_read_end_the_supply_at_once(place):
    place.write(MANY)
    with place.state() as state:
        supply = place.supply(state)
        supply.begin(OnChange.STOP, 0.0)

        def grow(_):
            with place.rows.open("a") as file:
                file.write('\n{"p": "late"}')

        with pytest.raises(UserError, match="changed while its rows were read"):
            await supply.feed(grow, with_prices=False)
        there = len(ids(state))
        assert there in {SAMPLE + CHUNK, SAMPLE + 2 * CHUNK}, "one may have been made already"

        again = place.supply(state)
        late = MANY + (there - SAMPLE) // CHUNK
        assert again.begin(OnChange.STOP, 0.0) == Imported(new=late - there, unchanged=there)


async def test_rows_that_change_behind_the_last_one_do_not_count_as_read(place):
    place.write(SAMPLE + 5)
    with place.state() as state:
        supply = place.supply(state)
        supply.begin(OnChange.STOP, 0.0)

        def touch(_):
            os.utime(place.rows, ns=(1, 1))

        with pytest.raises(UserError, match="changed while its rows were read"):
            await supply.feed(touch, with_prices=False)

        again = place.supply(state)
        assert again.begin(OnChange.STOP, 0.0) == Imported(unchanged=SAMPLE + 5)


async def test_a_hard_link_to_the_rows_is_no_change_of_them(place):
    place.write(MANY)
    with place.state() as state:
        supply = place.supply(state)
        supply.begin(OnChange.STOP, 0.0)
        (place.folder / "backup.jsonl").hardlink_to(place.rows)
        assert await fed(supply) == [CHUNK, CHUNK, 7]

        assert place.supply(state).begin(OnChange.STOP, 0.0) == Imported(unchanged=MANY)


async def test_rows_that_go_away_while_they_are_read_are_told(place):
    place.write(MANY)
    with place.state() as state:
        supply = place.supply(state)
        supply.begin(OnChange.STOP, 0.0)
        with pytest.raises(UserError, match="there is no file"):
            await supply.feed(lambda _: place.rows.unlink(missing_ok=True), with_prices=False)


@pytest.mark.parametrize("count", [10, SAMPLE + 5])
def test_rows_that_change_between_the_check_and_the_import_are_not_taken_for_read(place, count):
    place.write(count)
    with place.state() as state:
        supply = place.supply(state)
        place.write(count, _3={"p": "jug 3"})
        with pytest.raises(UserError, match="changed while its rows were read"):
            supply.begin(OnChange.STOP, 0.0)
        assert ids(state) == []

        place.supply(state).begin(OnChange.STOP, 0.0)
        assert '"jug 3"' in state.ledger.draw(2, 1)[0].body


def test_other_rows_of_the_same_size_and_time_are_seen(place):
    place.write(10)
    os.utime(place.rows, ns=(7, 7))
    with place.state() as state:
        place.supply(state).begin(OnChange.STOP, 0.0)

        other = place.folder / "other.jsonl"
        place.rows.rename(other)
        place.write(10, _3={"p": "jug 3"})
        os.utime(place.rows, ns=(7, 7))

        assert place.rows.stat().st_size == other.stat().st_size
        assert place.supply(state).begin(OnChange.STOP, 0.0) == Imported(changed=1, unchanged=9)


async def test_long_jobs_come_in_smaller_chunks(place):
    place.write(SAMPLE)
    text = "x" * (CHUNK_CHARACTERS // 3)
    place.rows.write_text(
        "\n".join([place.rows.read_text(), *(json.dumps({"p": text + str(n)}) for n in range(9))])
    )
    with place.state() as state:
        supply = place.supply(state)
        supply.begin(OnChange.STOP, 0.0)
        assert await fed(supply) == [3, 3, 3]


async def test_a_few_rows_of_many_megabytes_are_not_held_as_a_sample(place):
    text = "x" * (SAMPLE_CHARACTERS // 22)
    with place.rows.open("w") as file:
        file.writelines(json.dumps({"p": text}) + "\n" for _ in range(FEW + 5))
    assert load_manifest(place.path).kept is None
    with place.state() as state:
        supply = place.supply(state)
        supply.begin(OnChange.STOP, 0.0)
        await fed(supply)
        assert ids(state) == names(FEW + 5)


async def test_a_note_of_another_version_means_that_all_is_compared(place):
    place.write(MANY)
    with place.state() as state:
        supply = place.supply(state)
        supply.begin(OnChange.STOP, 0.0)
        await fed(supply)
        state.ledger.record((), {NAME: '{"text": "x", "sources": {"rows.jsonl": {"age": 1}}}'})

        assert place.supply(state).begin(OnChange.STOP, 0.0) == Imported(unchanged=MANY)


async def test_rows_that_are_gone_are_told(place):
    place.write(3)
    with place.state() as state:
        supply = place.supply(state)
        place.rows.unlink()
        with pytest.raises(UserError, match="there is no file"):
            supply.begin(OnChange.STOP, 0.0)
