"""A state file that was moved, copied, or found after a restart."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from batchgen.system.whereabouts import WHEREABOUTS_NOTE, Standing, Whereabouts

HERE = Whereabouts("machine", "boot", 1, 2)


@pytest.mark.parametrize(
    ("changes", "standing"),
    [
        ({}, Standing.SAME),
        ({"inode": 3}, Standing.COPIED),
        ({"inode": 3, "boot": "next"}, Standing.COPIED),
        ({"device": 3}, Standing.COPIED),
        ({"device": 3, "boot": "next"}, Standing.RESTARTED),
        ({"boot": "next"}, Standing.RESTARTED),
        ({"host": "another"}, Standing.RESTARTED),
    ],
)
def test_what_it_is_to_the_file_of_the_last_run(changes, standing):
    note = HERE.dump()[WHEREABOUTS_NOTE]
    assert replace(HERE, **changes).since(note) is standing


@pytest.mark.parametrize("note", [None, "", "{}", "[]", "nonsense", '{"host": 1}'])
def test_without_a_note_it_is_taken_for_the_same(note):
    assert HERE.since(note) is Standing.SAME


def test_of_real_files(tmp_path):
    (tmp_path / "a").mkdir()
    path = tmp_path / "a" / "state.db"
    path.write_text("x")
    note = Whereabouts.of(path).dump()[WHEREABOUTS_NOTE]
    shutil.copytree(tmp_path / "a", tmp_path / "copy")
    (tmp_path / "a").rename(tmp_path / "moved")
    assert Whereabouts.of(tmp_path / "moved/state.db").since(note) is Standing.SAME
    assert Whereabouts.of(tmp_path / "copy/state.db").since(note) is Standing.COPIED
