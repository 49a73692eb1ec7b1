"""Make the pictures of the pages in `docs/pictures` anew: `python -m scripts.pictures`.

A night of drawn pictures is reported on, and looked at with the system's chromium.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from batchgen.providers.segmind.simulator.media.pictures import draw
from batchgen.providers.segmind.simulator.messages import MediaRef
from batchgen.system.clock import SystemClock
from batchgen.web.report import ReportSettings, write_report
from tests.web.conftest import PHONE, chromium_path
from tests.web.made import SETTINGS, File, Made, Run, night

TARGET = Path(__file__).resolve().parent.parent / "docs" / "pictures"
JOB_COUNT = 900
DRAWN = 90
SHAPES = ((512, 512), (640, 400), (400, 520))
QUALITY = 82


def jobs() -> Iterator[Made]:
    """A night whose first pictures are drawn one by one; the others repeat them."""
    drawn: dict[int, bytes] = {}
    for n, job in enumerate(night(JOB_COUNT, size=(32, 24))):
        width, height = SHAPES[n % DRAWN % len(SHAPES)]
        if job.files:
            ref = MediaRef(job.id, 0, job.model, job.params, n % DRAWN, "jpg", width, height)
            data = drawn.setdefault(n % DRAWN, draw(ref)) + n.to_bytes(4)
            job.files = (File(f"{job.model}/{job.id}.jpg", data, "image/jpeg", (width, height)),)
        yield job


def report(folder: Path) -> Path:
    run = Run(folder / "runs" / "street-portraits")
    budget = SETTINGS["budget"] | {"max_spend": 60.0}
    run.note("settings", SETTINGS | {"name": "street-portraits", "budget": budget})
    run.add(*jobs())
    settings = ReportSettings(run.directory.report, 10_000)
    write_report(run.directory, settings, SystemClock().now(), lambda _made, _count: None)
    return run.directory.report


def shot(page: Page) -> Image.Image:
    page.wait_for_timeout(600)
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def opened(browser: Browser, path: Path, fragment: str, **options: object) -> Page:
    page = browser.new_page(**options)
    page.goto(f"{path.as_uri()}#{fragment}")
    return page


def side_by_side(*images: Image.Image) -> Image.Image:
    gap = 24
    width = sum(image.width for image in images) + gap * (len(images) - 1)
    whole = Image.new("RGB", (width, images[0].height), "white")
    x = 0
    for image in images:
        whole.paste(image, (x, 0))
        x += image.width + gap
    return whole


def save(image: Image.Image, name: str) -> None:
    image.save(TARGET / name, quality=QUALITY, optimize=True, progressive=True)
    print(f"written: docs/pictures/{name}")


def main() -> None:
    desktop = {"viewport": {"width": 1240, "height": 860}}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        path = report(Path(folder))
        browser = driver.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        save(shot(opened(browser, path, "", **desktop)), "report.jpg")
        dark = {"color_scheme": "dark"}
        charts = opened(browser, path, "view=charts", **desktop, **dark)
        charts.set_viewport_size({"width": 1240, "height": 1130})
        save(shot(charts), "charts.jpg")
        sheet = opened(browser, path, "", **PHONE)
        detail = opened(browser, path, "", **PHONE)
        detail.locator(".tile").nth(6).tap()
        problems = opened(browser, path, "view=problems", **PHONE, **dark)
        save(side_by_side(*(shot(page) for page in (sheet, detail, problems))), "phone.jpg")
        browser.close()


if __name__ == "__main__":
    main()
