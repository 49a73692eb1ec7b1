import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.net.urls import (
    check_media_url,
    check_origin,
    escaped,
    is_loopback_host,
    is_public_address,
    origin,
    place_of,
)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://API.segmind.com/v2/x?y#z", "https://api.segmind.com"),
        ("https://api.segmind.com:443/", "https://api.segmind.com"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("http://127.0.0.1:8000/a", "http://127.0.0.1:8000"),
        ("http://[::1]:9/", "http://[::1]:9"),
    ],
)
def test_origin(url, expected):
    assert origin(url) == expected


@pytest.mark.parametrize("url", ["", "/v2/x", "ftp://a/", "https://", "https://a:99999/", "a b"])
def test_no_origin(url):
    with pytest.raises(ValueError):
        origin(url)


@pytest.mark.parametrize(
    "url",
    ["https://api.segmind.com", "http://127.0.0.1:8000/", "http://localhost:1", "http://[::1]:5"],
)
def test_the_key_may_go_to(url):
    assert check_origin(url) is None


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "http"),
        ("file:///etc/passwd", "http"),
        ("api.segmind.com", "http"),
        ("https://", "http"),
        ("https://u:p@api.segmind.com", "password"),
        ("https://@api.segmind.com", "user name"),
        ("https://api.segmind.com/v2", "more than"),
        ("https://api.segmind.com?", "more than"),
        ("https://api.segmind.com/?a=b", "more than"),
        ("https://api.segmind.com/#a", "more than"),
        ("http://api.segmind.com", "plain http"),
        ("http://10.0.0.1:8000", "plain http"),
        ("http://localhost.example.com", "plain http"),
        ("http://127.0.0.1.example.com", "plain http"),
    ],
)
def test_the_key_may_not_go_to(url, reason):
    assert reason in check_origin(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://cdn.example.com/a/b.png?X-Sig=a%2Fb&e=1",
        "http://images.example.com:8080/x",
        "https://93.184.216.34/x.png",
        "https://[2606:4700::1111]/x.png",
        "https://3d-cdn.example.com/x",
    ],
)
def test_media_urls_that_may_be_fetched(url):
    assert check_media_url(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "file:///etc/passwd",
        "ftp://example.com/x",
        "data:image/png;base64,AAAA",
        "//example.com/x",
        "https:///x",
        "https://u:p@example.com/x",
        "https://exa mple.com/x",
        "https://example.com/x\r\nx-api-key: a",
        "https://example.com\\@evil.example/",
        "https://example.com:99999/",
        "https://[::1/",
        "http://127.0.0.1/x",
        "http://[::1]/x",
        "http://[::ffff:127.0.0.1]/x",
        "http://[64:ff9b::7f00:1]/x",
        "http://10.1.2.3/x",
        "http://169.254.169.254/latest/meta-data",
        "http://[fe80::1%25eth0]/x",
        "http://[fd00::1]/x",
        "http://0.0.0.0/x",
        "http://224.0.0.1/x",
        "http://2130706433/x",
        "http://0x7f000001/x",
        "http://127.1/x",
        "http://0x7f.1/x",
        "http://0177.0.0.1/x",
        "https://example.com/" + "a" * 9000,
    ],
)
def test_media_urls_that_may_not_be_fetched(url):
    assert check_media_url(url)


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("HTTPS://CDN.example/a.png", "https://CDN.example/a.png"),
        (" https://c.example/a b.png\n", "https://c.example/a%20b.png"),
        ("https://c.example/é?q=ü#ß", "https://c.example/%C3%A9?q=%C3%BC#%C3%9F"),
        ("https://c.example?q=a b", "https://c.example?q=a%20b"),
        ("https://c.example/a%20b%2f?s=a%2Fb=+&[1]", "https://c.example/a%20b%2f?s=a%2Fb=+&[1]"),
        ("https://c.example/100%.png", "https://c.example/100%.png"),
        ("https://c.example/a\\b|c\ud800", "https://c.example/a%5Cb%7Cc%ED%A0%80"),
        ("https://c.example/a\r\nb", "https://c.example/a\r\nb"),
        ("https://c c.example/x", "https://c c.example/x"),
        ("S3://bucket/a b", "s3://bucket/a%20b"),
        ("/a b", "/a b"),
        ("", ""),
    ],
)
def test_what_is_escaped(url, sent):
    assert escaped(url) == sent
    assert escaped(sent) == sent


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://example.com/x", "not over ftp"),
        ("s3://bucket/x", "not over s3"),
        ("data:image/png;base64,AAAA", "not over data"),
        ("/x.png", "not a whole address"),
        ("//example.com/x", "not a whole address"),
        ("https:///x", "no host"),
    ],
)
def test_a_refusal_says_what_is_wrong(url, reason):
    assert reason in check_media_url(escaped(url))


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://CDN.example:443/x", "cdn.example"),
        ("http://cdn.example:8080/x", "cdn.example:8080"),
        ("http://[::1]:80/x", "[::1]"),
        ("https://cdn.example:99999/x", ""),
        ("nonsense", ""),
    ],
)
def test_the_place_that_an_address_leads_to(url, place):
    assert place_of(url) == place


def test_the_simulator_on_this_machine_can_be_let_in():
    assert check_media_url("http://127.0.0.1:8000/x.png", allow_private=True) is None
    assert check_media_url("http://2130706433/x", allow_private=True)


@pytest.mark.parametrize(
    "text", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]
)
def test_public_addresses(text):
    assert is_public_address(text)


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.1.1", "100.64.0.1",
        "0.0.0.0", "255.255.255.255", "224.0.0.1", "::", "::1", "fe80::1", "fe80::1%eth0",
        "fc00::1", "fec0::1", "ff02::1", "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::a00:1",
        "", "example.com",
    ],
)  # fmt: skip
def test_other_addresses(text):
    assert not is_public_address(text)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("a.localhost", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("localhost.example", False),
        ("example.com", False),
        ("10.0.0.1", False),
    ],
)
def test_loopback(host, loopback):
    assert is_loopback_host(host) is loopback


@given(st.text(alphabet=string.printable + "é℀\x00", max_size=60))
def test_nothing_a_stranger_writes_raises(text):
    for url in (text, f"https://{text}/x", f"http://[{text}]/"):
        assert isinstance(check_media_url(url), str | None)
        assert isinstance(check_media_url(escaped(url)), str | None)
        assert escaped(escaped(url)) == escaped(url)
        assert isinstance(check_origin(url), str | None)
