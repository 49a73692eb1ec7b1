"""The measuring itself: goals, rows, the page they are put on, and the service measured against."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest

from batchgen.core.media.wholeness import of_bytes
from batchgen.outputs.inspection import Claims, inspect
from bench.harness import Batch, Goal, Row, Spread, compared, interleaved, service
from bench.page import table, write_page
from bench.server import Manners, Service, png, png_rest


@pytest.mark.parametrize(
    ("goal", "value", "holds"),
    [
        (Goal(0.5, at_least=True), 0.5, True),
        (Goal(0.5, at_least=True), 0.49, False),
        (Goal(1.1), 1.1, True),
        (Goal(1.1), 1.11, False),
    ],
)
def test_a_goal_is_at_least_or_at_most(goal, value, holds):
    assert goal.holds(value) is holds


def test_ratios_are_taken_pair_by_pair_and_judged_by_their_median():
    # The second pair ran on a machine twice as slow: its ratio is the same.
    row = compared("speed", [(50, 100), (25, 50), (90, 100)], "jobs/s", Goal(0.6, at_least=True))
    assert row.ratio == Spread(0.5, 0.5, 0.9)
    assert not row.holds
    assert row.markdown() == (
        "| speed | 50 (25 … 90) jobs/s | 100 (50 … 100) jobs/s | 0.5 (0.5 … 0.9) | ≥ 0.6 | **no** |"
    )


def test_both_sides_run_in_turn():
    ran: list[str] = []
    interleaved(lambda: ran.append("a"), lambda: ran.append("b"), 3)
    assert "".join(ran) == "ababab"


def test_the_page_keeps_what_stands_around_the_table(tmp_path):
    page = tmp_path / "performance.md"
    page.write_text("# Speed\n\nWords.\n", "utf-8")
    for figure in (1.0, 2.0):
        write_page([Row("jobs", Spread.of([figure]))], "python -m bench", page)
    text = page.read_text("utf-8")
    assert text.startswith("# Speed\n\nWords.\n\n<!-- measured: bench -->\n\nTaken ")
    assert text.count("| jobs |") == 1
    assert table([Row("jobs", Spread.of([2.0]))]) in text


def test_the_manifest_of_a_batch_is_one():
    found = json.loads(Batch(3, rpm=5, max_spend_usd=0.02).manifest())
    assert found["budget"] == {"concurrency": 64, "requests_per_minute": 5, "max_spend": 0.02}
    assert found["jobs"][0]["matrix"] == {"n": [1, 2, 3]}


def test_the_files_of_the_service_are_whole_and_differ():
    rest = png_rest(1000)
    first, second = png(b"a", rest), png(b"b", rest)
    found = inspect(len(first), of_bytes(first), Claims())
    assert (found.media_type.extension, found.width, found.height) == ("png", 512, 512)
    assert first != second


def test_the_service_refuses_what_exceeds_its_limit():
    limited = Service(Manners(rpm=2))
    answers = [limited.answer(b"POST", b"/v2/m").split(b" ", 2)[1] for _ in range(3)]
    assert answers == [b"200", b"200", b"429"]
    assert limited.report()["counts"] == {"submit": 2, "429": 1}


@pytest.mark.processes
def test_the_service_answers_the_four_calls_of_a_job():
    with service("--file-bytes", "1000") as served:
        call = urllib.request.Request(f"{served.url}/v2/m", data=b"{}", method="POST")
        with urllib.request.urlopen(call, timeout=10) as answer:
            submitted = json.load(answer)
        with urllib.request.urlopen(submitted["status_url"], timeout=10) as answer:
            assert json.load(answer)["status"] == "COMPLETED"
        with urllib.request.urlopen(submitted["response_url"], timeout=10) as answer:
            output = json.load(answer)["output"]
        with urllib.request.urlopen(output, timeout=10) as answer:
            assert answer.read().startswith(b"\x89PNG")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{served.url}/elsewhere", timeout=10)
        counts = served.report()["counts"]
    assert counts == {"submit": 1, "status": 1, "result": 1, "file": 1, "other": 1}
