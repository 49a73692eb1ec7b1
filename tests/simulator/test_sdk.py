"""The service's own SDK, unmodified, against the simulator over real HTTP."""

import asyncio
from importlib import import_module
from io import BytesIO

import pytest
from PIL import Image
from segmind import SegmindClient
from segmind.exceptions import SegmindError
from segmind.files import Files
from segmind.v2 import InferenceFailed, InferenceTimeout

from batchgen.providers.segmind.simulator import SimulatorConfig
from batchgen.providers.segmind.simulator.http.server import serve
from tests.simulator.callers import KEY

SLUG = "flux-kontext-pro"


async def with_sdk(work, key=KEY, **settings):
    """Run `work(client)` in a thread against a simulator; returns its result and the service."""
    config = SimulatorConfig.model_validate({"pictures": "tiny", "latency_s": 0.05, **settings})

    def thread(url):
        client = SegmindClient(api_key=key, base_url=url + "/v1")
        try:
            return work(client)
        finally:
            client._client.close()

    async with serve(config) as running:
        return await asyncio.to_thread(thread, running.url), running.service


async def test_submit_wait_status_and_result():
    def work(client):
        job = client.submit_async(SLUG, prompt="a cup", seed=3)
        early = job.status()
        final = job.wait(timeout=10, interval=0.02)
        return job.request_id, early, final, job.status(), job.result()

    (request_id, early, final, late, again), service = await with_sdk(work)
    (bill,) = service.ledger.bills
    assert early["status"] in ("QUEUED", "PROCESSING")
    assert final["status"] == late["status"] == "COMPLETED"
    assert final["output"].endswith(f"/outputs/{request_id}/0.png")
    assert final["metrics"]["cost"] == bill.cost_usd
    assert (bill.request_id, bill.body) == (request_id, '{"prompt":"a cup","seed":3}')
    assert again["output"] == final["output"]


async def test_run_is_submit_and_wait():
    final, _ = await with_sdk(lambda client: client.run(SLUG, prompt="a cup"), latency_s=0)
    assert final["status"] == "COMPLETED"


@pytest.mark.parametrize("failed_status", [422, 200])
async def test_failed_is_an_exception_with_the_services_words(failed_status):
    def work(client):
        job = client.submit_async(SLUG, prompt="a cup")
        with pytest.raises(InferenceFailed) as caught:
            job.wait(timeout=10, interval=0.02)
        return caught.value, job.result()

    settings = {"failure_probability": 1, "failure_messages": ["out of luck"]}
    (error, body), _ = await with_sdk(work, failed_status=failed_status, **settings)
    assert error.detail == "out of luck"
    assert error.status_body == body
    assert "cost" not in body["metrics"]


async def test_what_never_finishes_times_out():
    def work(client):
        with pytest.raises(InferenceTimeout):
            client.submit_async(SLUG, prompt="x").wait(timeout=0.1, interval=0.02)

    _, service = await with_sdk(work, never_finish_probability=1)
    assert len(service.ledger.bills) == 1


async def test_run_sync_brings_the_picture():
    image = "https://pictures.test/cup.png"
    response, service = await with_sdk(
        lambda client: client.run_sync("flux-kontext-dev", prompt="a cup", input_image=image)
    )
    with Image.open(BytesIO(response.content)) as picture:
        picture.load()
    assert response.headers["x-request-id"] == service.ledger.bills[0].request_id
    assert response.headers["x-cost"] == "0.04"


@pytest.mark.parametrize(
    ("settings", "call", "status", "words"),
    [
        ({"key": "SG_bad"}, lambda c: c.submit_async(SLUG, prompt="x"), 401, "API key is invalid"),
        ({}, lambda c: c.submit_async("no-such", prompt="x"), 404, "Model information"),
        ({}, lambda c: c.submit_async(SLUG), 400, "prompt"),
        ({"credits_usd": 0}, lambda c: c.run_sync(SLUG, prompt="x"), 406, "credits"),
        ({"retired_models": [SLUG]}, lambda c: c.run(SLUG, prompt="x"), 410, "retired"),
        ({"forbidden_models": [SLUG]}, lambda c: c.run(SLUG, prompt="x"), 403, "may not"),
    ],
)
async def test_refusals_reach_the_user_of_the_sdk(settings, call, status, words):
    def work(client):
        with pytest.raises(SegmindError) as caught:
            call(client)
        return caught.value

    error, service = await with_sdk(work, **settings)
    assert error.status == status
    assert words in error.detail
    assert service.ledger.bills == []


async def test_an_unknown_request_is_a_404():
    def work(client):
        job = client.submit_async(SLUG, prompt="x")
        job.status_url = job.status_url.replace(job.request_id, "nobody")
        with pytest.raises(SegmindError) as caught:
            job.status()
        return caught.value.status

    assert (await with_sdk(work))[0] == 404


async def test_uploads_are_understood(tmp_path):
    picture = tmp_path / "cup.png"
    picture.write_bytes(b"\x89PNG")

    def work(client):
        files = Files(client)
        files.STORAGE_BASE_URL = client.base_url.removesuffix("/v1")
        return files.upload(picture)

    body, service = await with_sdk(work)
    path = "/assets/" + body["file_urls"][0].rpartition("/")[2]
    assert service.media(path, 0.0).data == b"\x89PNG"


async def test_the_history_is_paged_and_found_by_id(monkeypatch):
    def work(client):
        # The SDK knows this address as a constant only.
        origin = client.base_url.removesuffix("/v1")
        address = f"{origin}/inference-request/request-history"
        monkeypatch.setattr(import_module("segmind.generations"), "REQUEST_HISTORY_URL", address)
        job = client.submit_async(SLUG, prompt="x")
        page = client.generations.history(per_page=5, model_name="kontext", sort_order="asc")
        return job.request_id, page, client.generations.get(job.request_id)

    (request_id, page, row), _ = await with_sdk(work, history_lag_s=0)
    assert [found["request_id"] for found in page["data"]] == [request_id]
    assert row["request_body"] == {"prompt": "x"}


@pytest.mark.parametrize("style", ["openai", "anthropic", "gemini"])
@pytest.mark.parametrize("call", ["chat", "chat_sync"])
async def test_the_three_shapes_of_text_models_are_understood(style, call):
    def work(client):
        client.poll_interval = 0.02
        return getattr(client, call)("glot-1", prompt="a cup")

    settings = {"models": {"glot-1": {"shape": "chat", "chat_style": style}}, "latency_s": 0}
    answered, _ = await with_sdk(work, **settings)

    assert "to: a cup" in answered.text
    assert 12 in answered.usage.values()


@pytest.mark.parametrize("poll", ["poll_url", "request_id"])
async def test_a_workflow_is_run_and_its_outputs_are_read(poll):
    def work(client):
        origin = client.base_url.removesuffix("/v1")
        flows = client.pixelflows
        flows.workflows_base = f"{origin}/workflows"
        begun = flows.run(workflow_url=f"{origin}/workflows/v2/portrait", data={"a": 1}, poll=False)
        if poll == "request_id":
            return flows.poll(poll_id=begun["request_id"], poll_interval=0.05)
        return flows.poll(poll_url=begun["poll_url"], poll_interval=0.05)

    told, service = await with_sdk(work, extra_models=["workflows/v2/portrait"])

    assert [node["keyname"] for node in told["output"]] == ["portrait", "mask", "caption"]
    assert [bill.model for bill in service.ledger.bills] == ["workflows/v2/portrait"]


async def test_a_workflow_that_failed_tells_an_object():
    def work(client):
        origin = client.base_url.removesuffix("/v1")
        address = f"{origin}/workflows/v2/portrait"
        return client.pixelflows.run(workflow_url=address, data={}, poll_interval=0.05)

    settings = {"failure_probability": 1, "failure_messages": ["flagged"], "failed_status": 200}
    told, _ = await with_sdk(work, extra_models=["workflows/v2/portrait"], **settings)

    assert (told["status"], told["error_message"]["message"]) == ("FAILED", "flagged")
