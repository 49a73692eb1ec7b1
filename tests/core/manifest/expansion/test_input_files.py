"""Which texts of params name local files, and what becomes of them in the job."""

import json
from dataclasses import replace

import pytest

from batchgen.core.catalog.model import Catalog, Source
from batchgen.core.jobs.placeholders import Content, missing
from batchgen.core.jobs.spec import InputFile
from batchgen.core.manifest.expansion.expand import Drafts
from batchgen.core.manifest.expansion.input_files import InputError, family_of, path_in
from batchgen.core.manifest.schema import parse_manifest
from batchgen.core.manifest.text.locations import Diagnostic, ManifestText
from batchgen.core.manifest.validate.review import Reviewer, Text
from batchgen.providers.segmind import catalog

CATALOG = catalog.load()
MODEL = "flux-kontext-max"


class Files:
    """Files by path, and how often each was looked at."""

    def __init__(self, **types):
        self.types = types
        self.looks = []

    def is_file(self, path):
        return path.rsplit("/", 1)[-1].partition(".")[0] in self.types

    def look(self, path):
        self.looks.append(path)
        name = path.rsplit("/", 1)[-1].partition(".")[0]
        if name not in self.types:
            raise InputError(f"there is no file {path}", "mend the path")
        return file(path, self.types[name])


def file(path, media_type="image/png"):
    name = path.rsplit("/", 1)[-1]
    return InputFile(path, 10, media_type, name[0].encode().hex() * 32, "stamp")


def placeholder(path):
    return Content(file(path).sha256, 10).placeholder


def jobs(params, files, model=MODEL, known=CATALOG, **entry):
    document = {
        "version": 1,
        "name": "x",
        "jobs": [
            {"id": "a{n}", "matrix": {"n": [1, 2]}, "model": model, "params": params, **entry}
        ],
    }
    manifest = parse_manifest(document, ManifestText())
    return list(Drafts(manifest, known, inputs=files))


@pytest.mark.parametrize(
    ("text", "typed", "path"),
    [
        ("cup.png", True, "cup.png"),
        ("./a/cup.png", True, "./a/cup.png"),
        ("/abs/cup.png", True, "/abs/cup.png"),
        ("C:\\cup.png", True, "C:\\cup.png"),
        ("cup.png", False, None),
        ("file:cup.png", True, "cup.png"),
        ("file:cup.png", False, "cup.png"),
        ("file:///a%20b/cup.png", False, "/a b/cup.png"),
        ("https://x/cup.png", True, None),
        ("HTTP://x/cup.png", True, None),
        ("ftp://x/cup.png", True, None),
        ("data:image/png;base64,AAAA", True, None),
        ("", True, None),
        ("a profile: of a cup", False, None),
    ],
)
def test_which_texts_name_a_file(text, typed, path):
    assert path_in(text, typed=typed) == path


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("input_image", "image"),
        ("image1", "image"),
        ("mask", "image"),
        ("video_url", "video"),
        ("voice", "audio"),
        ("image_or_video", ""),
        ("input", ""),
    ],
)
def test_what_a_parameter_takes_by_its_name(name, family):
    assert family_of(name) == family


def test_a_path_becomes_a_placeholder_and_an_input_of_the_job():
    files = Files(cup="image/png")
    made = jobs({"prompt": "a cup {n}", "input_image": "photos/cup.png"}, files)

    for draft in made:
        assert draft.params["input_image"] == placeholder("photos/cup.png")
        assert json.loads(draft.spec.body) == draft.params
        assert draft.spec.inputs == (file("photos/cup.png"),)
    first, second = made
    assert first.spec.fingerprint != second.spec.fingerprint


def test_the_fingerprint_follows_the_content_and_not_the_path():
    params = {"prompt": "a cup", "input_image": "a/cup.png"}
    files = Files(cup="image/png")
    here = jobs(params, files)[0].spec
    there = jobs({**params, "input_image": "b/cup.png"}, files)[0].spec
    assert here.fingerprint == there.fingerprint


def test_a_prefix_names_files_at_any_depth_of_any_model():
    params = {"images": ["file:b.png", {"face": "file:a.png"}, "https://x/y.png"], "text": "c.png"}
    draft = jobs(params, Files(a="image/png", b="image/png"), model="some-model")[0]

    assert draft.params["images"] == [
        placeholder("b.png"),
        {"face": placeholder("a.png")},
        "https://x/y.png",
    ]
    assert draft.params["text"] == "c.png"
    assert [found.path for found in draft.spec.inputs] == ["b.png", "a.png"]


@pytest.mark.parametrize("value", ["https://x/y.png", "data:image/png;base64,AAAA"])
def test_addresses_pass_as_they_are(value):
    files = Files()
    draft = jobs({"prompt": "a cup", "input_image": value}, files)[0]

    assert draft.params["input_image"] == value
    assert (draft.spec.inputs, files.looks) == ((), [])


@pytest.mark.parametrize(
    ("params", "what", "remedy"),
    [
        ({"input_image": "no.png"}, "there is no file no.png", "mend the path"),
        ({"prompt": "file:no.png"}, "there is no file no.png", "begins with file:"),
        (
            {"input_image": "film.mp4"},
            'input_image takes image files, and "film.mp4" is video/mp4',
            "",
        ),
        ({"prompt": "batchgen-upload:x"}, "no text of a parameter may hold", "take it out"),
    ],
)
def test_what_cannot_be_is_told_at_its_parameter(params, what, remedy):
    made = jobs({"prompt": "a cup", **params}, Files(film="video/mp4"))

    assert all(isinstance(item, Diagnostic) for item in made)
    assert what in made[0].what
    assert remedy in made[0].remedy
    assert made[0].path[:3] == ("jobs", 0, "params")


SLIP = "is a file beside the manifest, and would be sent as that text"


@pytest.mark.parametrize(
    ("value", "text", "at", "remedy"),
    [
        ("photos/cat.png", "photos/cat.png", (), "write `file:photos/cat.png` to upload it"),
        ("./CAT.PNG", "./CAT.PNG", (), "write `file:./CAT.PNG`"),
        ("/a b/cat.jpeg", "/a b/cat.jpeg", (), "write `file:/a b/cat.jpeg`"),
        (["https://x/cat.png", "cat.mp4"], "cat.mp4", (1,), "write `file:cat.mp4`"),
        ({"face": [{"of": "cat.wav"}]}, "cat.wav", ("face", 0, "of"), "write `file:cat.wav`"),
        ("photos/{name}.png", "photos/cat.png", (), "write `file:` before it"),
    ],
)
def test_a_path_as_text_in_an_unknown_model_is_a_slip(value, text, at, remedy):
    files = Files(cat="image/png", CAT="image/png")
    params, matrix = {"image": value, "seed": "{n}"}, {"n": [1, 2], "name": ["cat"]}

    told, _ = jobs(params, files, "kling-9", matrix=matrix, id="a{n}{name}")

    assert told.what == f'"{text}" {SLIP}'
    assert told.remedy.startswith(remedy)
    assert told.remedy.endswith("if the text is meant, move the file to another folder")
    assert told.path == ("jobs", 0, "params", "image", *at)


@pytest.mark.parametrize(
    "value",
    [
        "no.png", "cat", "cat.png is a cat", "a cat.", "cat.txt", "cat.png ", "", "https://x/cat.png",
        "file:cat.png", "data:,cat.png", "x/" * 150 + "cat.png", 7, None, [], {"a": ["no.png"]},
    ],
)  # fmt: skip
def test_other_texts_of_an_unknown_model_are_none_of_our_business(value):
    files = Files(cat="image/png")
    for item in jobs({"image": value, "prompt": "p"}, files, model="kling-9"):
        assert not isinstance(item, Diagnostic)


def test_a_model_with_a_table_says_itself_what_is_a_file():
    (draft, _) = jobs({"prompt": "cat.png"}, Files(cat="image/png"))
    assert draft.params == {"prompt": "cat.png"}


def test_every_file_of_a_job_that_is_missing_is_told():
    params = {"prompt": "a cup", "input_image_1": "no.png", "input_image_2": "nor.png"}
    told = [item.path for item in jobs(params, Files(), model="multi-image-kontext-max")]
    assert told[:2] == [("jobs", 0, "params", f"input_image_{n}") for n in (1, 2)]


def test_a_job_with_a_file_passes_the_catalogue():
    document = {
        "version": 1,
        "name": "x",
        "jobs": [{"model": MODEL, "params": {"prompt": "p", "input_image": "cup.png"}}],
    }
    manifest = parse_manifest(document, ManifestText())
    reviewer = Reviewer(Text(manifest, CATALOG, inputs=Files(cup="image/png")))

    (spec,) = reviewer.jobs()

    assert reviewer.conclude().problems == ()
    assert missing(spec.body)


HEARSAY = Catalog({MODEL: replace(CATALOG.get(MODEL), source=Source.LIST)})


def test_where_only_the_list_speaks_of_an_address_a_text_that_is_no_file_is_sent():
    files = Files(cup="image/png", notes="text/plain")
    for text in ("a style of old films", "cpu.png", "notes.txt"):
        for draft in jobs({"prompt": "x", "input_image": text}, files, known=HEARSAY):
            assert json.loads(draft.spec.body)["input_image"] == text
            assert draft.spec.inputs == ()
    (draft, _) = jobs({"prompt": "x", "input_image": "cup.png"}, files, known=HEARSAY)
    assert json.loads(draft.spec.body)["input_image"] == placeholder("cup.png")


@pytest.mark.parametrize("params", [{"input_image": "file:cpu.png"}, {"other": ["file:cpu.png"]}])
def test_a_file_that_is_named_as_one_has_to_be_there_whoever_speaks(params):
    found = jobs({"prompt": "x", **params}, Files(), known=HEARSAY)
    assert all(isinstance(remark, Diagnostic) for remark in found)


def test_a_path_sent_as_text_is_a_slip_where_only_the_list_speaks():
    """Whatever the list calls text, and in lists; what it calls an address is uploaded."""
    files = Files(cup="image/png")
    for params in ({"prompt": "cup.png"}, {"prompt": "x", "more": ["cup.png"]}):
        found = jobs(params, files, known=HEARSAY)
        assert all(isinstance(remark, Diagnostic) for remark in found)
    manifest = parse_manifest(
        {"version": 1, "name": "x", "jobs": [
            {"id": "job-{n}", "matrix": {"n": [1, 2]}, "model": MODEL, "price": 1,
             "params": {"prompt": "cup.png"}}]}, ManifestText(),
    )  # fmt: skip
    quick = Drafts(manifest, HEARSAY, inputs=files).quick()
    assert all(isinstance(remark, Diagnostic) for remark in quick)
