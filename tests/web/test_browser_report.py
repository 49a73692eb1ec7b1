"""The report in a real browser: what a person sees, types and hears read out."""

import re

import pytest

from tests.web.conftest import HELD_MODEL, HOSTILE, PATIENCE_MS, PHONE, looking

pytestmark = pytest.mark.processes
VIEWS = ("pictures", "charts", "problems", "settings")


def address(report, fragment=""):
    return report[1].as_uri() + fragment


def close_detail(page):
    """Press Escape, and wait: the browser tells a dialog's close in a task of its own.

    Not by `wait_for_function`: it evaluates a text again and again, which the page forbids.
    """
    from playwright.sync_api import expect

    page.keyboard.press("Escape")
    expect(page.locator("#detail")).to_be_hidden(timeout=PATIENCE_MS)
    expect(page).not_to_have_url(re.compile("open="), timeout=PATIENCE_MS)


def ids(page):
    """The names of the tiles in sight, in their order."""
    return page.locator("#sheet .name").all_inner_texts()


def test_the_contact_sheet_is_filtered_sorted_and_searched(browser, report):
    with looking(browser, address(report)) as page:
        assert page.title() == "told: 246 of 267"
        shown = page.locator("#shown")
        assert shown.inner_text() == "268 results."
        assert len(ids(page)) < 120  # only what is in sight exists

        page.fill("#find", "LIGHTHOUSE dawn-00012")
        assert ids(page) == ["dawn-00012"]
        page.fill("#find", "")
        page.select_option("#model", "gpt-4")
        assert ids(page) == ["words", "told"]
        assert "a poem of <b>stars</b>" in page.locator("#sheet").inner_text()
        page.select_option("#model", "")
        page.get_by_role("button", name=re.compile("^Lost")).click()
        assert ids(page) == ["gone"]
        page.get_by_role("button", name=re.compile("^Lost")).click()
        page.select_option("#order", "slowest")
        assert ids(page)[0] == "film"

        page.fill("#find", "snow")
        chosen = ids(page)
        page.reload()
        assert page.input_value("#find") == "snow"
        assert page.input_value("#order") == "slowest"
        assert ids(page) == chosen
        page.fill("#find", "nothing is called this")
        assert "Nothing is like that" in page.locator("#panel-pictures").inner_text()
        page.get_by_role("button", name="Show all").click()
        assert shown.inner_text() == "268 results."


def test_all_of_it_can_be_reached_by_the_keyboard(browser, report):
    with looking(browser, address(report)) as page:
        focused = "document.activeElement.querySelector('.name')?.textContent"
        page.keyboard.press("/")
        page.keyboard.type("pair")
        for _ in range(20):
            page.keyboard.press("Tab")
            if page.evaluate(focused):
                break
        assert page.evaluate(focused) == "pair · 1/2"
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
        page.keyboard.press("ArrowRight")
        assert page.evaluate(focused) == "pair · 2/2"
        page.keyboard.press("Enter")
        assert page.locator("#detail-id").inner_text() == "pair"
        assert page.locator("#detail-state").inner_text() == "done · output 2 of 2"
        page.keyboard.press("ArrowLeft")
        assert page.locator("#position").inner_text() == "1 of 2"
        close_detail(page)
        assert page.evaluate(focused) == "pair · 1/2"

        page.fill("#find", "")
        page.locator(".tile").first.focus()
        page.keyboard.press("End")
        assert page.evaluate(focused) == "gone"
        page.keyboard.press("Home")
        assert page.evaluate(focused) == "dawn-00000"
        page.locator("#tab-pictures").focus()
        page.keyboard.press("ArrowRight")
        assert page.locator("#tab-charts").get_attribute("aria-selected") == "true"


def test_one_job_tells_everything_and_shows_its_file(browser, report):
    with looking(browser, address(report, "#q=dawn-00012")) as page:
        page.locator(".tile").click()
        picture = page.locator("#stage img")
        picture.evaluate("image => image.decode()")
        assert picture.evaluate("image => image.naturalWidth") == 96
        assert picture.get_attribute("src").startswith("outputs/")
        told = page.locator("#panel").inner_text()
        for words in ("a lighthouse at dawn, take 12", "aspect_ratio", "4:3", "request_id", "Seed",
                      "$0.0", "Submitted", "Inference", "SHA-256", "96 × 72"):  # fmt: skip
            assert words in told
        close_detail(page)
        for name, what in {"film": "video", "sound": "audio", "words": "pre", "gone": "p"}.items():
            page.fill("#find", name)
            page.locator(".tile", has_text=name).first.click()
            assert page.locator(f"#stage {what}").count() == 1
            close_detail(page)


def test_texts_from_outside_stay_texts(browser, report):
    with looking(browser, address(report, "#q=hostile")) as page:
        for n, text in enumerate(HOSTILE):
            page.locator(".tile", has_text=f"hostile-{n}").click()
            assert page.locator(".prompt").evaluate("node => node.textContent") == text
            assert page.locator(".prompt *").count() == 0
            close_detail(page)
        page.click("#tab-problems")
        reasons = page.locator("#problems .why").evaluate_all(
            "nodes => nodes.map(node => node.firstChild.textContent)"
        )
        assert set(HOSTILE) <= set(reasons)


def test_charts_problems_and_settings(browser, report):
    with looking(browser, address(report)) as page:
        page.click("#tab-charts")
        assert page.locator("canvas").count() == 4
        for canvas in page.locator("canvas").all():
            assert canvas.evaluate("c => new Set(c.getContext('2d').getImageData(0, 0, c.width, "
                                   "c.height).data).size > 4")  # fmt: skip
        spend = page.locator("#chart-spend .plot")
        assert "% of the cap of $20.00" in spend.get_attribute("aria-label")
        page.locator("#chart-latency summary").click()
        page.locator("#chart-latency .scroll", has_text="veo-3").wait_for()

        page.click("#tab-problems")
        told = page.locator("#problems").inner_text()
        assert "batchgen retry runs/told --failed" in told
        page.get_by_role("button", name=re.compile("content filter")).click()
        assert page.locator("#sheet li").count() > 0
        assert all("blocked by the content filter" in text
                   for text in page.locator("#sheet .words").all_inner_texts())  # fmt: skip
        page.click("#tab-problems")
        held = page.locator("#problems section", has_text="On hold: 3").inner_text()
        assert f"{HELD_MODEL}: no such model (HTTP 404)" in held
        assert "did you mean flux-kontext-pro? Fix `model:` in the manifest" in held
        assert "batchgen run MANIFEST" in held
        page.get_by_role("button", name=re.compile(HELD_MODEL)).click()
        assert page.locator("#sheet li").count() == 3
        assert all("on hold" in text and "Fix `model:`" in text
                   for text in page.locator("#sheet .words").all_inner_texts())  # fmt: skip
        assert "On hold\n3" in page.locator("#figures").inner_text()
        page.click("#tab-settings")
        assert "budget.requests_per_minute\t50" in page.locator("#settings").inner_text()


def test_on_a_phone_nothing_is_wider_than_the_screen(browser, report):
    with looking(browser, address(report), **PHONE) as page:
        for view in VIEWS:
            page.locator(f"#tab-{view}").tap()
            page.locator(f"#panel-{view}").wait_for()  # the click comes after the touch
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view
        page.locator("#tab-pictures").tap()
        page.locator(".tile").first.tap()
        page.locator("#detail").wait_for()
        picture = page.locator("#stage img").bounding_box()
        assert picture["y"] < 400
        assert page.locator("#detail").evaluate("node => node.scrollWidth <= innerWidth")


def findings(page):
    """What axe-core finds serious or critical."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return {
        one["id"]: [node["html"][:120] for node in one["nodes"]][:3]
        for one in found
        if one["impact"] in {"serious", "critical"}
    }


@pytest.mark.parametrize(("colours", "screen"), [("light", {}), ("dark", PHONE)])
def test_nobody_is_shut_out(browser, report, colours, screen):
    """Colours do not depend on the screen, nor places on the colours: two runs see all of both."""
    with looking(browser, address(report, "#q=now-0000"), color_scheme=colours, **screen) as page:
        for view in VIEWS:
            page.click(f"#tab-{view}")
            assert findings(page) == {}, view
        page.click("#tab-pictures")
        page.locator(".tile").first.click()
        assert findings(page) == {}, "detail"
        if not screen:
            # The checker can fail: a text too pale to read is found.
            page.evaluate("document.getElementById('detail-id').style.color = '#e8e8e8'")
            assert "color-contrast" in findings(page)
