"""Outputs in every shape, and what stands on the CDN."""

import base64
import json
import re
import wave
import zipfile
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from batchgen.core.media.formats import BY_EXTENSION, is_whole, sniff
from batchgen.providers.segmind.outputs import find_media
from batchgen.providers.segmind.simulator import SimulatorConfig, body_bytes, tiny_media
from batchgen.providers.segmind.simulator.media.odd import ODD, TAIL
from batchgen.providers.segmind.simulator.media.shelf import MAX_SIDE_PX, picture_size
from batchgen.providers.segmind.simulator.media.tiny import DRAWN, MAKERS
from tests.simulator.callers import CDN, START_AT, caller, read


def finished(shape, outputs=1):
    """A client whose model `m` answers in that shape, and the final reply of one job."""
    client = caller(latency_s=1, models={"m": {"shape": shape, "outputs_per_job": outputs}})
    request_id = client.accepted("m")
    return client, client.later(5).result(request_id)


def is_picture(data):
    with Image.open(BytesIO(data)) as picture:
        picture.load()
        return picture.width > 0


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("shape", ["url", "urls", "object", "images"])
def test_shapes_with_urls(shape, outputs):
    client, reply = finished(shape, outputs)
    body = read(reply)
    value = body["images"] if shape == "images" else body["output"]
    if isinstance(value, str):
        urls = [value]
    elif shape == "object":
        urls = list(value.values())
    elif shape == "images":
        urls = [item["url"] for item in value]
        assert {item["content_type"] for item in value} == {"image/png"}
        assert value[0]["file_size"] == len(body_bytes(client.download(urls[0])))
        assert value[0]["file_name"] == "0.png"
    else:
        urls = value
    assert isinstance(value, str) == (shape == "url" and outputs == 1)
    assert len(set(urls)) == outputs
    files = [body_bytes(client.download(url)) for url in urls]
    assert len(set(files)) == outputs
    assert all(is_picture(data) for data in files)


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize(
    ("shape", "prefix"), [("data_uri", "data:image/png;base64,"), ("base64", "")]
)
def test_shapes_that_carry_the_bytes(shape, prefix, outputs):
    _, reply = finished(shape, outputs)
    output = read(reply)["output"]
    texts = output if outputs > 1 else [output]
    files = [base64.b64decode(text.removeprefix(prefix), validate=True) for text in texts]
    assert len(set(files)) == outputs
    assert all(is_picture(data) for data in files)


def test_text_and_json():
    assert "to: a cup" in read(finished("text")[1])["output"]
    assert "to: a cup" in read(finished("json")[1])["output"]["answer"]


@pytest.mark.parametrize("extension", sorted(set(MAKERS) - {*DRAWN, *ODD, "txt", "png+tail"}))
def test_files_of_other_formats_are_whole_and_found_in_the_answer(extension):
    settings = {"shape": "video", "format": extension}
    client = caller(latency_s=1, models={"m": settings})
    request_id = client.accepted("m")
    (found,) = find_media(read(client.later(5).result(request_id)))
    download = client.download(found.url)
    data = body_bytes(download)
    kind = sniff(data)
    assert kind is BY_EXTENSION[extension]
    assert download.headers["content-type"] == found.media_type == kind.mime
    assert is_whole(kind, len(data), lambda offset, count: data[offset : offset + count])
    assert not is_whole(kind, len(data) - 1, lambda offset, count: data[:-1][offset:][:count])


def made(kind, prompt="a cup"):
    """The address and the bytes of a file of this kind, and its content type."""
    client = caller(latency_s=1, models={"m": {"format": kind}})
    request_id = client.accepted("m", prompt=prompt)
    url = read(client.later(5).result(request_id))["output"]
    reply = client.download(url)
    return url, body_bytes(reply), reply.headers["content-type"]


@pytest.mark.parametrize("kind", sorted({*ODD, "png+tail"}))
def test_odd_files_have_an_extension_and_a_type_and_differ(kind):
    url, data, content_type = made(kind)
    assert url.endswith("/0." + kind.partition("+")[0])
    assert re.fullmatch(
        r"(image|video|audio|model|text|application)/[\w.+-]+(; charset=utf-8)?", content_type
    )
    assert data.endswith(TAIL) == kind.endswith("+tail")
    client = caller(latency_s=0, models={"m": {"format": kind}})
    files = [client.download(read(client.result(client.accepted("m")))["output"]) for _ in "ab"]
    assert len({body_bytes(reply) for reply in files}) == 2


@pytest.mark.parametrize("kind", ["png+tail", "jpg+tail", "gif+tail"])
def test_pictures_with_a_tail_are_pictures(kind):
    assert is_picture(made(kind)[1])


def test_others_know_the_odd_files():
    with zipfile.ZipFile(BytesIO(made("usdz")[1])) as archive:
        assert archive.testzip() is None
    for kind in ("wav", "wav+tail"):
        with wave.open(BytesIO(made(kind)[1])) as sound:
            assert sound.getframerate() == 8000
    assert json.loads(made("gltf")[1])["asset"]["version"] == "2.0"
    assert len(made("ts")[1]) == 2 * 188
    assert b"moov" not in made("mp4+without-index")[1]


def test_the_shape_video_is_an_mp4():
    assert list(read(finished("video")[1])["video"]) == ["url", "content_type"]


def test_a_format_that_is_not_made_is_refused():
    with pytest.raises(ValueError, match="the simulator makes png, jpg"):
        SimulatorConfig(models={"m": {"format": "exe"}})


def test_the_result_can_be_the_media_itself():
    client, reply = finished("media")
    assert reply.headers["content-type"] == "image/png"
    assert float(reply.headers["x-cost"]) == 0.05
    assert is_picture(body_bytes(reply))
    (bill,) = client.service.ledger.bills
    assert client.download(f"/outputs/{bill.request_id}/0.png").body == reply.body


def test_text_models_have_their_text_in_history():
    client, _ = finished("text")
    (row,) = read(client.history())["data"]
    data = body_bytes(client.download(row["generation_url"]))
    assert data.startswith(b"Simulated answer of m")


@pytest.mark.parametrize(
    ("slug", "asked", "extension"),
    [
        ("flux-kontext-pro", None, "png"),
        ("flux-kontext-pro", "jpg", "jpg"),
        ("flux-pro", None, "webp"),
        ("m", None, "png"),
        ("m", "JPEG", "jpg"),
        ("m", "../../x", "png"),
    ],
)
def test_the_extension_is_the_asked_format_or_the_models(slug, asked, extension):
    client = caller(latency_s=1, models={"m": {}})
    request_id = client.accepted(slug, **({"output_format": asked} if asked else {}))
    url = read(client.later(1).result(request_id))["output"]
    assert url == f"{CDN}/outputs/{request_id}/0.{extension}"


def test_files_stand_from_the_jobs_end_for_seven_days():
    client = caller(latency_s=10)
    url = f"/outputs/{client.accepted()}/0.png"
    week_s = 7 * 86400
    for at, found in ((9.9, False), (10, True), (week_s + 9.9, True), (week_s + 10, False)):
        client.now = START_AT + at
        assert (client.service.media(url, client.now) is not None) == found
        assert client.download(url).status == (200 if found else 404)


@pytest.mark.parametrize("path", ["/1.png", "/0.jpg", "/00.png.gif", "/x.png", ""])
def test_other_paths_hold_nothing(path):
    client = caller(latency_s=0)
    request_id = client.accepted()
    assert client.download(f"/outputs/{request_id}{path}").status == 404


def test_failed_jobs_have_no_files():
    client = caller(latency_s=0, failure_probability=1)
    assert client.download(f"/outputs/{client.accepted()}/0.png").status == 404


@pytest.mark.parametrize("name", ["x-api-key", "authorization"])
def test_a_key_at_the_cdn_is_a_leak(name):
    client = caller(latency_s=0)
    url = f"/outputs/{client.accepted()}/0.png"
    assert client.download(url, {name: "SG_0123456789abcdef"}).status == 400
    assert client.service.ledger.leaked_key_count == 1
    assert client.download(url).status == 200
    assert client.service.ledger.downloads[url] == 2


def test_the_cdn_is_read_only():
    assert caller().download("/outputs/x", method="POST").status == 405


def test_tiny_pictures_are_valid_and_differ_by_request_and_index():
    client = caller(latency_s=0, models={"m": {"outputs_per_job": 2}})
    ids = [client.accepted("m") for _ in range(3)]
    refs = [client.download(f"/outputs/{i}/{n}.png").body for i in ids for n in (0, 1)]
    assert len({tiny_media(ref) for ref in refs}) == 6
    assert all(is_picture(tiny_media(ref)) for ref in refs)


@pytest.mark.parametrize(
    ("params", "size"),
    [
        ({}, (500, 500)),
        ({"aspect_ratio": "match_input_image"}, (500, 500)),
        ({"aspect_ratio": "16:9"}, (666, 376)),
        ({"aspect_ratio": "9:16"}, (376, 666)),
        ({"aspect_ratio": "0:9"}, (500, 500)),
        ({"width": 2048, "height": 1024}, (708, 354)),
        ({"width": -1, "height": 1024}, (500, 500)),
        ({"aspect_ratio": "999:1"}, (1000, 250)),
    ],
)
def test_sizes_keep_the_asked_proportions(params, size):
    assert picture_size(params, 0.25) == size


@given(
    st.dictionaries(
        st.sampled_from(["aspect_ratio", "width", "height"]),
        st.one_of(
            st.integers(), st.text(), st.from_regex(r"\d{1,3}:\d{1,3}", fullmatch=True), st.none()
        ),
    ),
    st.floats(0.001, 2),
)
def test_sizes_are_bounded_whatever_is_asked(params, megapixels):
    width, height = picture_size(params, megapixels)
    assert 2 <= min(width, height) <= max(width, height) <= MAX_SIDE_PX
    assert width % 2 == height % 2 == 0
