"""Drawn pictures: whole, of the asked format and size, the same every time, whatever the prompt."""

import subprocess
import sys
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from batchgen.providers.segmind.simulator import MediaRef, SimulatorConfig, tiny_media
from batchgen.providers.segmind.simulator.http.server import serve
from batchgen.providers.segmind.simulator.media.pictures import draw
from batchgen.providers.segmind.simulator.media.studio import MediaRenderer
from tests.simulator.http_callers import download, finished

LONG = "a street in the rain, " * 60


def ref(prompt="a cup", **changes):
    fields = {
        "request_id": "0123abcd-0000-4000-8000-000000000000",
        "index": 0,
        "model": "flux-kontext-pro",
        "params": {"prompt": prompt},
        "seed": 7,
        "format": "png",
        "width": 160,
        "height": 120,
    }
    return MediaRef(**{**fields, **changes})


def opened(data):
    picture = Image.open(BytesIO(data))
    picture.load()
    return picture


@pytest.mark.parametrize("size", [(2, 2), (40, 160), (320, 180), (666, 376)])
@pytest.mark.parametrize(("format_", "name"), [("png", "PNG"), ("jpg", "JPEG"), ("webp", "WEBP")])
def test_format_and_size_are_the_asked_ones(format_, name, size):
    picture = opened(draw(ref(format=format_, width=size[0], height=size[1])))
    assert (picture.format, picture.size) == (name, size)


def test_equal_references_make_equal_bytes_and_others_do_not():
    references = [
        ref(),
        ref("two cups"),
        ref(seed=8),
        ref(index=1),
        ref(model="flux-pro"),
        ref(request_id="89abcdef-0000-4000-8000-000000000000"),
    ]
    files = [draw(reference) for reference in references]
    assert len(set(files)) == len(references)
    assert [draw(reference) for reference in references] == files


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        " ",
        LONG,
        "x" * 2000,
        "Grüße, 漢字, ✓, 👩‍👩‍👧",
        "\ud800 \x00 \n\t \u202e",
        "مرحبا שלום",
        7,
        None,
    ],
)
def test_no_prompt_is_too_strange(prompt):
    assert opened(draw(ref(prompt))).size == (160, 120)


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=400), st.integers(2, 90), st.integers(2, 90))
def test_any_text_on_any_small_picture(prompt, width, height):
    assert opened(draw(ref(prompt, width=width, height=height))).size == (width, height)


def test_the_package_alone_brings_neither_server_nor_pillow():
    program = (
        "import sys, batchgen.providers.segmind.simulator\n"
        "print({'aiohttp', 'PIL'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("set()\n", "")


def test_the_studio_keeps_the_last_pictures_only():
    studio = MediaRenderer(SimulatorConfig(cached_pictures=2))
    try:
        references = [ref(index=index) for index in range(3)]
        first = [studio.render(reference) for reference in references]
        assert studio.render(references[2]) is first[2]
        assert studio.render(references[0]) == first[0]
        assert studio.render(references[0]) is not first[0]
    finally:
        studio.close()


def test_the_studio_draws_nothing_but_pictures():
    studio = MediaRenderer(SimulatorConfig())
    try:
        for other in (ref(format="txt"), ref(format="mp4"), ref(data=b"")):
            assert studio.render(other) == tiny_media(other)
    finally:
        studio.close()


async def test_the_server_draws_and_two_gets_agree():
    config = SimulatorConfig(latency_s=0, megapixels=0.02)
    async with serve(config) as running:
        url = await finished(running)
        first, second = [await download(url) for _ in range(2)]
        assert first[2] == second[2]
        assert opened(first[2]).size == (142, 142)
        assert (await download(url, {"range": "bytes=1-3"}))[2] == b"PNG"
