"""The served page in a real browser: what arrives while it is open."""

import signal

import pytest

from tests.web.conftest import HELD_MODEL, looking
from tests.web.made import LATER_AT, SETTINGS, File, Made, Run, night, picture

pytestmark = pytest.mark.processes


@pytest.fixture
def run(place):
    run = Run(place.path / "runs/told")
    run.note("settings", SETTINGS)
    run.add(*night(40, size=(96, 72)))
    run.add(*(Made(f"soon-{n}", state="submitted", params={"prompt": "soon"}) for n in range(3)))
    return run


def served(place, port=0):
    """A server at work, and its address."""
    running = place.start("serve", "runs/told", "--port", port)
    address = running.process.stdout.readline().decode().strip()
    assert address.startswith("http://127.0.0.1:"), running.end().err
    return running, address


def landing(name, number):
    return File(f"{name}.png", picture(number, (64, 64)), size=(64, 64))


def test_pictures_land_without_a_reload_and_the_filter_stays(browser, place, run):
    running, address = served(place)
    with running, looking(browser, address) as page:
        page.evaluate("window.same = true")
        page.wait_for_selector(".lamp.on")
        before = page.locator("#figures dd").first.inner_text().split()[0]
        page.fill("#find", "soon")
        page.select_option("#order", "listed")
        tile = page.locator("#sheet li", has_text="soon-1")
        assert "running" in tile.inner_text()
        page.locator(".tile", has_text="soon-1").focus()

        run.finish("soon-1", LATER_AT, landing("soon-1", 1))
        picture_of_it = tile.locator("img")
        picture_of_it.wait_for()
        picture_of_it.evaluate("image => image.decode()")
        assert picture_of_it.evaluate("image => image.naturalWidth") == 64
        assert page.locator("#figures dd").first.inner_text().split()[0] == str(int(before) + 1)
        assert page.input_value("#find") == "soon"
        assert page.locator("#sheet li").count() == 3
        focused = "document.activeElement.querySelector('.name')?.textContent"
        assert page.evaluate(focused) == "soon-1"

        run.add(Made("soon-3", params={"prompt": "new"}, files=(landing("soon-3", 3),)))
        page.locator("#sheet li", has_text="soon-3").wait_for()
        assert page.evaluate("window.same")

        page.click("#tab-charts")
        page.locator("canvas").nth(3).wait_for()
        spent = page.locator("#chart-spend .told").inner_text()
        run.finish("soon-2", LATER_AT + 1, landing("soon-2", 2))
        polls = page.locator("#chart-polls .told", has_text=f"{int(before) + 3} jobs")
        polls.wait_for()
        assert spent.startswith("$")
        assert page.evaluate("window.same")
        running.send(signal.SIGTERM)
        assert running.end().code == 0


def test_jobs_that_are_put_on_hold_are_shown_so_and_back(browser, place, run):
    run.add(*(Made(f"typo-{n}", HELD_MODEL, state="pending") for n in range(3)))
    running, address = served(place)
    with running, looking(browser, address) as page:
        page.fill("#find", "typo")
        tiles = page.locator("#sheet li")
        waiting = page.locator(".chip", has_text="Waiting")
        waiting.wait_for()
        assert all("waiting" in text for text in tiles.all_inner_texts())

        hold = {"signal": "410", "reason": "HTTP 410", "since": LATER_AT}
        run.note("held", {HELD_MODEL: hold})
        page.locator(".chip", has_text="On hold").wait_for()
        assert waiting.count() == 0
        assert all("on hold" in text and "is retired" in text for text in tiles.all_inner_texts())

        run.note("held", {})
        waiting.wait_for()
        assert all("waiting" in text for text in tiles.all_inner_texts())


def test_an_open_page_outlives_its_server(browser, place, run):
    running, address = served(place)
    port = address.rpartition(":")[2].strip("/")
    with running, looking(browser, f"{address}#q=soon&order=listed", quiet=False) as page:
        page.wait_for_selector(".lamp.on")
        page.locator(".tile", has_text="soon-0").click()
        running.send(signal.SIGINT)
        assert running.end().code == 0
        page.wait_for_selector(".lamp.off", state="attached")
        assert "Not connected" in page.locator("#standing").inner_text()
        run.finish("soon-0", LATER_AT, landing("soon-0", 1))
        again, _ = served(place, port)
        with again:
            page.wait_for_selector(".lamp.on", state="attached")
            page.locator("#stage img").wait_for()
            assert page.input_value("#find") == "soon"
            assert page.locator("#detail-id").inner_text() == "soon-0"
