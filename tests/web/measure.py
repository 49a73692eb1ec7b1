"""How large a report over thousands of pictures is, how long it takes, and whether it is smooth.

    python -m tests.web.measure [COUNT]

Not a test: its figures depend on the machine. They stand in docs/looking.md.
"""

import io
import random
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from batchgen.providers.segmind.simulator.media.pictures import paint
from tests.cli.processes import Place
from tests.web.conftest import chromium_path
from tests.web.made import SETTINGS, File, Run, night

SIZE = (1024, 1024)
DISTINCT = 250

LONG_TASKS = """new PerformanceObserver(list => {
  for (const entry of list.getEntries()) (window.long ||= []).push(Math.round(entry.duration));
}).observe({type: 'longtask', buffered: true})"""
FIRST_TILE = """(function look() {
  const image = document.querySelector('#sheet img');
  if (image && image.complete && image.naturalWidth) window.first = performance.now();
  else requestAnimationFrame(look);
})()"""
SCROLL = """async () => {
  const frames = []; let last = performance.now(); let blank = 0;
  for (let n = 0; n < 240; n += 1) {
    scrollBy(0, 400);
    await new Promise(requestAnimationFrame);
    const now = performance.now(); frames.push(now - last); last = now;
    const middle = document.elementFromPoint(innerWidth / 2, innerHeight / 2);
    if (!middle || !middle.closest('.tile, .sheet')) blank += 1;
  }
  frames.sort((a, b) => a - b);
  return {median: frames[120], p95: frames[228], worst: frames[239], blank,
          tiles: document.querySelectorAll('.tile').length, y: scrollY};
}"""


def grainy(number):
    """A picture with the detail of a photograph, as a JPEG of usual quality."""
    dice = random.Random(number)
    image = paint(*SIZE, dice).convert("RGB")
    noise = Image.effect_noise(SIZE, 60).convert("RGB")
    written = io.BytesIO()
    Image.blend(image, noise, 0.12).save(written, "JPEG", quality=88)
    return written.getvalue()


def make(path, count):
    run = Run(path)
    run.note("settings", SETTINGS)
    drawn = [grainy(n) for n in range(DISTINCT)]
    jobs = list(night(count, size=(32, 24)))
    for n, job in enumerate(jobs):
        for file in job.files:
            name = file.name.replace(".png", ".jpg")
            data = drawn[n % DISTINCT] + n.to_bytes(4)
            job.files = (File(name, data, "image/jpeg", SIZE),)
    for start in range(0, count, 500):
        run.add(*jobs[start : start + 500])
    return run


def look(path):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 860})
        page.add_init_script(f"{LONG_TASKS}; {FIRST_TILE}")
        began_at = time.perf_counter()
        page.goto(path.as_uri())
        opened_s = time.perf_counter() - began_at
        page.wait_for_timeout(500)
        print(f"first tile {page.evaluate('window.first') or -1:.0f} ms, loaded {opened_s:.2f} s")
        print("long tasks while opening, ms:", page.evaluate("window.long || []"))
        page.evaluate("window.long = []")
        print("scrolling, ms a frame:", page.evaluate(SCROLL))
        print("long tasks while scrolling, ms:", page.evaluate("window.long"))
        page.evaluate("scrollTo(0, 0); window.long = []")
        began_at = time.perf_counter()
        page.fill("#find", "lighthouse take 12")
        print(f"search {1000 * (time.perf_counter() - began_at):.0f} ms")
        print("long tasks while searching, ms:", page.evaluate("window.long"))
        browser.close()


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder))
        run = make(place.path / "runs/told", count)
        for what in ("first report", "second report, thumbnails kept"):
            began_at = time.perf_counter()
            ended = place.inside("report", "runs/told", "--json")
            took_s = time.perf_counter() - began_at
            size = ended.json["bytes"] / 1e6
            print(f"{what}: {ended.json['pictures']} pictures, {size:.1f} MB, {took_s:.1f} s")
        look(run.path / "report.html")


if __name__ == "__main__":
    main()
