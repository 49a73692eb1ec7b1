"""What a person can do about a refusal or an outage, told from its words.

The service has no stable codes, and its texts move: words are matched loosely, the first row that
fits counts. A row says what to change; what to type to go on stands beside it anyway.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from batchgen.core.common.formatting import size_text

STATUS_PAGE = "https://status.segmind.com"
"""Where the service tells of its own outages."""
PLANS = "Flexible 1 GB, Pro 10 GB, Business 100 GB, Scale 1 TB"
"""What the plans of the service store, by its pricing page."""

TOP_UP = (
    "top up the account, or raise its spend limit; credits belong to a workspace (team): see that "
    "the key is of the one that you topped up"
)
MAKE_ROOM = (
    f"free space in the Segmind console, take a larger plan ({PLANS}), or give URLs instead of "
    "local files"
)
STORED_BYTES = 10**9
"""What the smallest plan stores."""


def storage_warning(count: int, total: int) -> str:
    """What is said where so many files, of so many bytes together, are to be uploaded; empty where
    any plan has room for them."""
    if total <= STORED_BYTES:
        return ""
    return (
        f"{count:,} input files of {size_text(total)} are to be uploaded, and plans carry a "
        f"storage quota: {PLANS}; a run goes on without the jobs that find no room"
    )


_LOST_HEADER = (
    "the key got lost on its way: look for a proxy (HTTPS_PROXY) or a SEGMIND_BASE_URL that drops "
    "the header x-api-key, or redirects"
)
_BAD_KEY = (
    "the key is wrong or has expired: make one in the Segmind console, and set SEGMIND_API_KEY anew"
)
_NOWHERE = (
    "nothing of Segmind is at that address: unset SEGMIND_BASE_URL, or set it to the origin "
    "https://api.segmind.com; where it is not set, a proxy or a name server leads elsewhere"
)
_WRONG_TYPE = (
    "batchgen sends JSON, and says so: look for a proxy that changes requests, with "
    "`batchgen doctor`"
)
_PARAMS = "correct `params` in the manifest: the page of the model says what it takes"
_UNKNOWN = (
    "these words are the service's own, and unknown here: look at the page of the model, or ask "
    "Segmind's support"
)
_ADVICE: Mapping[str, str] = {
    r"missing.*(authorization|x-api-key)|(authorization|x-api-key).*missing": _LOST_HEADER,
    r"http 401|unauthori[sz]ed|api.?key": _BAD_KEY,
    r"at this address|host header|no route matched|default backend": _NOWHERE,
    r"quota|storage": MAKE_ROOM,
    r"http 402|credit|balance|spend": TOP_UP,
    r"content.?type": _WRONG_TYPE,
    r"polling error|http 504": "a v1 call breaks off after about 100 s: set `api: v2`",
    r"model.*not found|no such model": "correct the name: `batchgen models` lists those known",
    r"http 410|retired": "the model is retired: name another one",
    r"request\b.*not found": "the service forgot the request: it keeps each for an hour",
    r"media rejected|valid http": (
        "this model takes no data: URI: give an http(s) URL, or a local file"
    ),
    r"(input|image|video|audio|media)\b.*(not found|not be (read|fetched|loaded|opened))": (
        "see that the input opens in a browser without a login, or give a local file"
    ),
    r"moderation|content.?policy|flagged|nsfw|safety|blocked|prohibited": (
        "the same is refused again: change the prompt or the input"
    ),
    r"subscription|upgrade": "see in the Segmind console what the plan of the workspace allows",
    r"required|mandatory|validation|parameter|must be|invalid|malformed|too large": _PARAMS,
    r"out of memory|worker|overload|temporar|try again": "it may pass by itself: try it again",
    r"rate.?limit|too many requests": "lower budget.requests_per_minute",
    r"http 4\d\d": _UNKNOWN,
}
"""By words, in lower case."""
_SAYS_IT = re.compile(r"`batchgen |run again")


def advice_of(reason: str) -> str:
    """What to do about a reason of the service; empty where nothing is known, and where the reason
    is one of ours that says so itself."""
    if _SAYS_IT.search(reason):
        return ""
    said = reason.lower()
    return next((advice for words, advice in _ADVICE.items() if re.search(words, said)), "")
