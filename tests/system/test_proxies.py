"""Which proxy is used for which URL, and what is refused."""

import pytest

from batchgen.errors import UserError
from batchgen.system.proxies import proxy_for, proxy_for_files

PROXY = "http://proxy.example:3128"
URL = "https://api.segmind.com/v2"


@pytest.mark.parametrize(
    ("no_proxy", "url", "exempt"),
    [
        ("api.segmind.com", URL, True),
        ("segmind.com", URL, True),
        (".segmind.com", URL, True),
        ("*.segmind.com", URL, True),
        ("*.SEGMIND.com.", URL, True),
        ("egmind.com", URL, False),
        ("other.example,api.segmind.com", URL, True),
        ("other.example api.segmind.com", URL, True),
        ("*", URL, True),
        ("*", "https://10.1.2.3/x", True),
        ("", URL, False),
        (" , ", URL, False),
        ("api.segmind.com:443", URL, True),
        ("api.segmind.com:8443", URL, False),
        ("api.segmind.com:8443", "https://api.segmind.com:8443/v2", True),
        ("segmind.com:80", "http://cdn.segmind.com/x", True),
        ("10.0.0.0/8", "https://10.1.2.3/x", True),
        ("10.0.0.0/8", "https://11.1.2.3/x", False),
        ("10.1.2.3", "https://10.1.2.3/x", True),
        ("10.1.2.3:8080", "https://10.1.2.3/x", False),
        ("10.1.2.3:8080", "https://10.1.2.3:8080/x", True),
        ("10.0.0.0/8", "https://ten.example/x", False),
        ("10.0.0.0/8", "https://[::ffff:10.1.2.3]/x", True),
        ("fd00::/8", "https://[fd12::1]/x", True),
        ("fd00::/8", "https://[fe80::1]/x", False),
        ("fd12::1", "https://[fd12::1]:8080/x", True),
        ("[fd12::1]", "https://[fd12::1]/x", True),
        ("[fd12::1]:8080", "https://[fd12::1]:8080/x", True),
        ("[fd12::1]:8080", "https://[fd12::1]/x", False),
        ("10.1.2.3/8", "https://10.9.9.9/x", True),
        ("300.0.0.0/8, :80, [", URL, False),
        ("api.segmind.com", "https://api.segmind.com./v2", True),
    ],
)
def test_hosts_without_a_proxy(no_proxy, url, exempt):
    found = proxy_for(url, {"http": PROXY, "https": PROXY, "no": no_proxy})
    assert found == (None if exempt else PROXY)


@pytest.mark.parametrize(
    ("proxies", "url", "names"),
    [
        ({"all": "socks5h://127.0.0.1:1080"}, URL, "ALL_PROXY names the proxy for api.segmind.com"),
        ({"https": "socks5://x"}, URL, "HTTPS_PROXY names"),
        ({"https": "socks5://x", "all": PROXY}, URL, "socks5 proxy"),
        ({"http": "socks4://x", "https": PROXY}, "http://cdn.example/x", "HTTP_PROXY=http://proxy"),
        ({"https": "http://proxy:none"}, URL, "cannot be read"),
        ({"https": "http://proxy:99999"}, URL, "cannot be read"),
        ({"https": "http://[proxy"}, URL, "cannot be read"),
        ({"https": "http://"}, URL, "has no host"),
        ({"https": "http://:3128"}, URL, "has no host"),
    ],
)
def test_proxies_that_cannot_be_used(proxies, url, names):
    with pytest.raises(UserError) as caught:
        proxy_for(url, proxies)
    assert names in str(caught.value)
    assert "NO_PROXY=" in str(caught.value)


def test_a_password_is_not_told():
    with pytest.raises(UserError) as caught:
        proxy_for(URL, {"https": "socks5://me:geheim@127.0.0.1:1080"})
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("proxies", "usable"),
    [
        ({}, True),
        ({"all": "socks5h://x", "no": "api.segmind.com"}, False),
        ({"all": "socks5h://x", "no": "*"}, True),
        ({"all": "socks5h://x", "https": f" {PROXY} "}, True),
        ({"http": "socks5h://x"}, True),
    ],
)
def test_files_may_be_on_any_host(proxies, usable):
    if usable:
        assert proxy_for_files(proxies) in (None, PROXY)
    else:
        with pytest.raises(UserError, match=r"(?s)files.*NO_PROXY='\*'"):
            proxy_for_files(proxies)
