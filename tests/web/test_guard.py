"""Who may look, as a table."""

import pytest

from batchgen.web.guard import AccessRefusal, Guard, PageRequest, host_of
from batchgen.web.outputs import headers_of

TOKEN = "correct horse battery"
LOCAL = Guard("127.0.0.1")
OPEN = Guard("0.0.0.0", TOKEN, frozenset({"mill"}))


def asked(method="GET", path="/", token="", cookie="", **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return PageRequest(method, path, {"host": "127.0.0.1:8710"} | named, token, cookie)


@pytest.mark.parametrize(
    ("request_", "refusal"),
    [
        (asked(), None),
        (asked("HEAD"), None),
        (asked(host="localhost:8710"), None),
        (asked(host="[::1]:8710"), None),
        (asked(host="LOCALHOST"), None),
        (asked(origin="http://127.0.0.1:8710"), None),
        (asked(sec_fetch_site="same-origin"), None),
        (asked(sec_fetch_site="none"), None),
        (asked(sec_fetch_site="cross-site", sec_fetch_mode="navigate"), None),
        (asked("POST"), AccessRefusal.METHOD),
        (asked("OPTIONS"), AccessRefusal.METHOD),
        (asked("DELETE", host="evil.example"), AccessRefusal.METHOD),
        (asked(host=""), AccessRefusal.HOST),
        (asked(host="evil.example"), AccessRefusal.HOST),
        (asked(host="127.0.0.1.evil.example"), AccessRefusal.HOST),
        (asked(host="evil.example:8710"), AccessRefusal.HOST),
        (asked(host="127.0.0.1@evil.example"), AccessRefusal.HOST),
        (asked(host="127.0.0.1:x"), AccessRefusal.HOST),
        (asked(host="192.168.0.9"), AccessRefusal.HOST),
        (asked(origin="http://evil.example"), AccessRefusal.ORIGIN),
        (asked(origin="null"), AccessRefusal.ORIGIN),
        (asked(origin="http://127.0.0.1:3000"), AccessRefusal.ORIGIN),
        (asked(sec_fetch_site="cross-site", sec_fetch_mode="no-cors"), AccessRefusal.ORIGIN),
        (asked(sec_fetch_site="same-site", sec_fetch_mode="cors"), AccessRefusal.ORIGIN),
        (asked(path="/outputs/a.png", sec_fetch_site="cross-site", sec_fetch_mode="navigate"),
         AccessRefusal.ORIGIN),
    ],
)  # fmt: skip
def test_on_this_machine(request_, refusal):
    assert LOCAL.refusal(request_) is refusal


@pytest.mark.parametrize(
    ("request_", "refusal"),
    [
        (asked(token=TOKEN), None),
        (asked(cookie=TOKEN), None),
        (asked(authorization=f"Bearer {TOKEN}"), None),
        (asked(token=TOKEN, host="192.168.0.9:8710"), None),
        (asked(token=TOKEN, host="mill:8710"), None),
        (asked(), AccessRefusal.TOKEN),
        (asked(token=TOKEN[:-1]), AccessRefusal.TOKEN),
        (asked(token=f"{TOKEN}x"), AccessRefusal.TOKEN),
        (asked(token="\ud800"), AccessRefusal.TOKEN),
        (asked(authorization=f"Basic {TOKEN}"), AccessRefusal.TOKEN),
        (asked(token=TOKEN, host="evil.example"), AccessRefusal.HOST),
        (asked(token=TOKEN, origin="http://evil.example"), AccessRefusal.ORIGIN),
    ],
)
def test_beyond_this_machine(request_, refusal):
    assert OPEN.refusal(request_) is refusal


def test_without_a_token_none_is_right():
    assert not LOCAL.is_key("")
    assert not OPEN.is_key("")
    assert OPEN.is_key(TOKEN)


@pytest.mark.parametrize("header", ["a/b", "a\\b", "[::1", "a b", "a#b", "a?b", ""])
def test_a_host_that_cannot_be_read(header):
    assert host_of(header) is None


@pytest.mark.parametrize(
    ("media_type", "sent_as", "saved"),
    [
        ("image/png", "image/png", False),
        ("video/mp4", "video/mp4", False),
        ("text/plain", "text/plain; charset=utf-8", False),
        ("application/json", "text/plain; charset=utf-8", False),
        ("image/svg+xml", "image/svg+xml", True),
        ("application/pdf", "application/octet-stream", True),
        ("text/html", "application/octet-stream", True),
        ("", "application/octet-stream", True),
    ],
)
def test_no_output_is_sent_as_something_that_runs(media_type, sent_as, saved):
    headers = headers_of('a/"b\n.svg', media_type)
    assert headers["Content-Type"] == sent_as
    assert ("Content-Disposition" in headers) is saved
    assert "script" not in headers["Content-Security-Policy"]
    assert ("sandbox" in headers["Content-Security-Policy"]) is not media_type.startswith(
        ("image/png", "video/")
    )
    assert all("\n" not in value and '"' not in value for value in headers.values())
