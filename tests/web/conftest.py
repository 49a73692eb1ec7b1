"""Runs to look at, and a browser to look with."""

import shutil
from contextlib import contextmanager

import pytest

from tests.cli.processes import Place
from tests.web.made import SETTINGS, START_AT, File, Made, Run, night, picture

HOSTILE = [
    "</script><script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 1'>",
    "\"quoted\" 'twice' & <b>bold</b> <!-- <script>",
    "right to left: שלום \u202egnitirw \u2066 and \u2028 \u2029 \ufffd",
    "nul \x00 and bell \x07",
    "${window.hacked = 1} {{window.hacked = 1}} `window.hacked = 1`",
    "javascript:window.hacked=1",
]


HELD_MODEL = "flux-kontex-pro"


@pytest.fixture
def place(tmp_path):
    path = tmp_path / "here"
    path.mkdir()
    return Place(path)


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """A night of 240 jobs, with one of every kind of output, and hostile texts."""
    return small_run(tmp_path_factory.mktemp("small") / "runs/told")


def small_run(path):
    run = Run(path)
    run.note("settings", SETTINGS)
    run.note("held", {HELD_MODEL: {"signal": "404", "reason": "HTTP 404", "since": START_AT}})
    run.add(*night(240, size=(96, 72)))
    run.add(*others())
    return run


def others():
    for n, text in enumerate(HOSTILE):
        params = {"prompt": text, "other": {"deep": [text]}, text[:20]: "key"}
        file = File(f"hostile-{n}.png", picture(n, (64, 64)), size=(64, 64))
        yield Made(f"hostile-{n}", params=params, files=(file,))
        yield Made(f"refused-{n}", state="failed", params=params, reason=text)
    words = File("words.txt", b"a poem of <b>stars</b>", "text/plain")
    told = File("told.json", b'{"answer": [1, 2, 3]}', "application/json")
    film = File("film.mp4", b"\0\0\0\x18ftypmp42" + bytes(64), "video/mp4")
    sound = File("sound.wav", b"RIFF\x24\0\0\0WAVEfmt " + bytes(64), "audio/wav")
    drawing = File("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml")
    broken = File("broken.png", b"\x89PNG\r\n\x1a\nnothing", size=(9, 9))
    pair = tuple(File(f"pair~{n}.png", picture(n, (64, 96)), size=(64, 96)) for n in (1, 2))
    yield Made("words", "gpt-4", params={"prompt": "a poem"}, files=(words,))
    yield Made("told", "gpt-4", params={"prompt": "an answer"}, files=(told,))
    yield Made("film", "veo-3", params={"prompt": "a film"}, files=(film,), total_s=80)
    yield Made("sound", "veo-3", params={"prompt": "a sound"}, files=(sound,))
    yield Made("drawing", params={"prompt": "a drawing"}, files=(drawing,))
    yield Made("broken", params={"prompt": "a broken one"}, files=(broken,))
    yield Made("pair", params={"prompt": "two at once"}, files=pair)
    yield Made("under-way", state="submitted", params={"prompt": "still running"})
    yield Made("waiting", state="pending", params={"prompt": "still waiting"})
    for n in range(3):
        prompt = {"prompt": "of a model that is not there"}
        yield Made(f"held-{n}", HELD_MODEL, state="pending", params=prompt)
    yield Made("gone", state="lost", params={"prompt": "lost"}, reason="the file is gone")


@pytest.fixture(scope="session")
def report(small):
    """Its report, made once by the command."""
    ended = Place(small.path.parents[1]).inside("report", "runs/told", "--json")
    assert ended.code == 0, ended.err
    return ended.json, (small.path / "report.html")


def chromium_path():
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


@pytest.fixture(scope="module")
def browser():
    """One browser for a module; Debian's, never a download."""
    path = chromium_path()
    if path is None:
        pytest.skip("no chromium on the PATH: `apt-get install chromium` lets the pages be driven")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=path, args=CHROMIUM)
        yield opened
        opened.close()


CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions"]
PATIENCE_MS = 60_000
"""For whatever is to appear: a machine may be busy."""
DESKTOP = {"viewport": {"width": 1280, "height": 860}}
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


@contextmanager
def looking(browser, address, *, quiet=True, **options):
    """A page that is open. It must say nothing to the console, and ask nobody else for anything.

    Not `quiet` is a browser that has lost its server: it says so.
    """
    context = browser.new_context(**(DESKTOP | {"reduced_motion": "reduce"} | options))
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    said, asked = [], []
    page.on(
        "console", lambda message: said.append(f"{message.type}: {message.text} {message.location}")
    )
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    try:
        yield page
        own = address.partition("#")[0].rpartition("/")[0] + "/"
        assert said == [] or not quiet
        assert [url for url in asked if not url.startswith((own, "data:"))] == []
        assert page.evaluate("window.hacked") is None
    finally:
        context.close()
