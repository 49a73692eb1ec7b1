"""`batchgen report` as a command, and what the file it writes is made of."""

import base64
import hashlib
import io
import json
import re
import sqlite3

import pytest
from PIL import Image

from batchgen.web.thumbnails import EDGE, MOST_PIXELS, thumbnail
from tests.web.conftest import small_run
from tests.web.made import File, Made, Run, picture


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    from tests.cli.processes import Place

    place = Place(tmp_path_factory.mktemp("here"))
    small_run(place.path / "runs/told")
    return place


def blocks(text, name):
    """The JSON blocks of a page whose ids begin so, in their order."""
    found = re.findall(rf'<script type="application/json" id="{name}[-\d]*">(.*?)</script>', text)
    return [json.loads(block) for block in found]


def jobs_of(text):
    return [row for block in blocks(text, "jobs") for row in block]


def test_the_report_lies_beside_the_outputs_and_links_to_them(here):
    state = here.path / "runs/told/state.db"
    before = hashlib.sha256(state.read_bytes()).hexdigest()
    ended = here.inside("report", "runs/told")
    assert (ended.code, ended.err) == (0, "")
    path = here.path / "runs/told/report.html"
    assert ended.out.startswith("runs/told/report.html: ")
    text = path.read_text("utf-8")
    [run] = blocks(text, "run")
    assert (run["links"], run["live"], run["summary"]["name"]) == ("outputs/", False, "told")
    assert len(jobs_of(text)) == run["summary"]["total"] == 267
    assert hashlib.sha256(state.read_bytes()).hexdigest() == before
    assert not list(path.parent.glob(".*.part"))
    assert str(here.path) not in text


def test_every_picture_has_its_thumbnail(here):
    ended = here.inside("report", "runs/told", "--json")
    text = (here.path / ended.json["report"]).read_text("utf-8")
    thumbnails = [one for block in blocks(text, "thumbnails") for one in block]
    assert len(thumbnails) == ended.json["pictures"]
    files = {file["name"]: file for row in jobs_of(text) for file in row.get("files", [])}
    assert thumbnails[files["broken.png"]["t"]] is None
    assert "t" not in files["film.mp4"]
    data = base64.b64decode(thumbnails[files["pair~1.png"]["t"]])
    with Image.open(io.BytesIO(data)) as small:
        assert (small.format, small.size) == ("WEBP", (64, 96))
    assert sum(one is None for one in thumbnails) == 1


def test_elsewhere_it_has_no_links_and_with_embed_the_originals(here):
    ended = here.inside("report", "runs/told", "--out", "far.html", "--most", 30, "--embed")
    assert ended.code == 0
    assert "the newest 30 of 267 jobs" in ended.out
    text = (here.path / "far.html").read_text("utf-8")
    [run] = blocks(text, "run")
    assert run["links"] == ""
    rows = jobs_of(text)
    assert len(rows) == 30
    originals = blocks(text, "original")
    outputs = here.path / "runs/told/outputs"
    for row in rows:
        for file in row.get("files", []):
            data = (outputs / file["name"]).read_bytes()
            assert base64.b64decode(originals[file["o"]]) == data


def test_files_that_are_gone_or_strange_leave_a_tile(place):
    run = Run(place.path / "runs/odd")
    gone = File("gone.png", b"", size=(1, 1))
    words = File("words.txt", b"", "text/plain")
    run.add(Made("gone", files=(gone,)), Made("words", files=(words,)), Made("none", state="lost"))
    (run.directory.outputs / "gone.png").unlink()
    (run.directory.outputs / "words.txt").unlink()
    (run.directory.thumbnails).write_bytes(b"no database")
    assert place.inside("report", "runs/odd").code == 0
    text = (run.path / "report.html").read_text("utf-8")
    assert blocks(text, "thumbnails") == [[None]]
    assert {row["id"] for row in jobs_of(text)} == {"gone", "words", "none"}


def test_a_run_that_never_began_has_a_report_too(place):
    run = Run(place.path / "runs/new")
    run.add(Made("a", state="pending"))
    assert place.inside("report", "runs/new").code == 0
    [told] = blocks((run.path / "report.html").read_text("utf-8"), "run")
    assert told["charts"]["time"] is None
    assert told["summary"]["started_at"] is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["runs/nothing"], "holds no run"),
        (["runs/told", "--out", "no/such/folder/a.html"], "cannot be written: No such file"),
        (["runs/told", "--most", "0"], "0 is not in the range"),
    ],
)
def test_what_cannot_be_is_told_and_nothing_is_left(here, arguments, said):
    ended = here.inside("report", *arguments)
    assert ended.code == 2
    assert said in ended.err
    assert "Traceback" not in ended.text


# Thumbnails


def drawn(mode, size=(300, 200), kind="PNG", **options):
    written = io.BytesIO()
    Image.new(mode, size, 1 if mode in {"1", "P", "L", "I;16"} else None).save(
        written, kind, **options
    )
    written.seek(0)
    return written


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_thumbnails_of_every_mode(mode):
    with Image.open(io.BytesIO(thumbnail(drawn(mode)))) as small:
        assert max(small.size) == EDGE


def test_transparency_and_turned_pictures_are_kept():
    with Image.open(io.BytesIO(thumbnail(drawn("RGBA")))) as small:
        assert small.mode == "RGBA"
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    turned = drawn("RGB", (300, 100), "JPEG", exif=exif)
    with Image.open(io.BytesIO(thumbnail(turned))) as small:
        assert small.height > small.width


def test_a_picture_that_unfolds_to_gigabytes_is_not_opened():
    side = int(MOST_PIXELS**0.5) + 1
    with pytest.raises(ValueError, match="too many pixels"):
        thumbnail(drawn("1", (side, side)))


def test_thumbnails_are_made_once(here):
    store = here.path / "runs/told/.thumbnails.db"
    assert here.inside("report", "runs/told").code == 0
    with sqlite3.connect(store) as connection:
        mark = thumbnail(io.BytesIO(picture(999)))
        connection.execute("UPDATE thumbnails SET webp = ?", (mark,))
    connection.close()
    assert here.inside("report", "runs/told").code == 0
    text = (here.path / "runs/told/report.html").read_text("utf-8")
    [first, *_] = blocks(text, "thumbnails")
    assert base64.b64decode(first[0]) == mark
    store.unlink()
