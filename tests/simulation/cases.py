"""Situations that other people ran into, as scenarios, and what must come of each.

A name begins with the number of its kind; of each kind there are several, with other numbers,
codes and moments. What needs real processes, disks or sockets is not here: see `ELSEWHERE`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from batchgen.core.common.json import canonical_json
from batchgen.core.jobs.policies import Limits, OnExpired
from batchgen.core.jobs.spec import JobSpec, Mode
from batchgen.ports import SaveFault
from batchgen.providers.segmind.simulator import Endpoint, FaultRule, SimulatorConfig
from batchgen.providers.segmind.simulator.media.odd import ODD
from batchgen.testing.rehearsal import Interruption, Mishap, Scenario
from tests.simulation.nights import PRICE_USD, jobs
from tests.simulation.uploading import naming, path_of, picture

ELSEWHERE: Mapping[str, str] = {
    "M6": "an older ledger beside newer files: real run directories",
    "W4": "inherited signals and descriptors: real processes",
    "R5": "outputs that are moved away: a real disk",
    "R6": "SIGTERM while a POST hangs: real processes",
    "R7": "large headers, proxies and certificates of the environment: real sockets",
}
HOUR_S = 3600.0
LONGEST_S = 4 * HOUR_S
"""No process of a case needs so long."""
PAGE = "<html><head><title>Please wait</title></head><body><h1>Please wait</h1></body></html>"
NO_HOST = "Incorrect or Missing host header"
POLLING = {"error": "Internal Polling Error"}
CREDITS = {"error": "Insufficient credits. You have 0.0 credits."}


@dataclass(frozen=True, slots=True)
class Case:
    """A scenario and what must hold after it.

    `bills` were accepted, `done` jobs have their files, the others have ended without. Unless it
    says otherwise one process brings it about, within `within_s`.
    """

    name: str
    scenario: Scenario
    bills: int
    done: int
    failed: int | None = None
    """So many jobs failed; None: however the others ended."""
    rejected: int | None = None
    """So many were paid for and brought no file; None: as above."""
    processes: int = 1
    within_s: float = 3 * HOUR_S
    most: Mapping[tuple[Endpoint, int | None], int] = field(default_factory=dict)
    """The most answers at a place with a status (None: any)."""
    bills_until: tuple[float, int] | None = None
    """So long after the start at most so many bills."""
    extensions: Mapping[str, str] = field(default_factory=dict)
    """Of the file of a job."""


def rule(where: str, kind: str, **more: Any) -> FaultRule:
    """A fault rule, as a file of settings would say it."""
    return FaultRule.model_validate({"where": where, "kind": kind, **more})


def answer(where: str, status: int, body: Any = PAGE, **more: Any) -> FaultRule:
    """A rule that spells its answer out."""
    return rule(where, "answer", status=status, body=body, **more)


def played(
    count: int, *rules: FaultRule, plans: Mapping[str, Any] | None = None, **settings: Any
) -> Scenario:
    """So many jobs at such a service; `plans` are what else differs in the scenario."""
    config = SimulatorConfig.model_validate(
        {"seed": 1, "pictures": "tiny", "latency_jitter": 0, "faults": rules, **settings}
    )
    given: dict[str, Any] = {"limits": Limits(concurrency=4), "requests_per_minute": 120}
    return Scenario(jobs(count), config, longest_process_s=LONGEST_S, **{**given, **(plans or {})})


def whole(name: str, scenario: Scenario, **more: Any) -> Case:
    """Every job is done, and paid for once."""
    count = len(scenario.specs)
    return Case(name, scenario, **{"bills": count, "done": count, **more})


def but_one(name: str, scenario: Scenario, **more: Any) -> Case:
    """The same, but for one job that ends without a file, and is accepted or not."""
    return whole(name, scenario, **{"done": len(scenario.specs) - 1, **more})


def _m1() -> Iterator[Case]:
    """A young record that is not visible yet."""
    for result_s, history_s in ((30, 45), (60, 120), (40, 60), (180, 400), (1200, 1500)):
        scenario = played(4, result_lag_s=result_s, history_lag_s=history_s)
        yield whole(f"M1 result after {result_s} s, history after {history_s} s", scenario)
    cautious = {"limits": Limits(concurrency=4, on_expired=OnExpired.RECOVER_ONLY)}
    late = {"result_lag_s": 60, "history_lag_s": 120}
    yield whole("M1 recover-only", played(4, plans=cautious, **late))
    for fresh_s, history_s in ((45, 60), (90, 200), (10, 500)):
        scenario = played(8, fresh_404_s=fresh_s, history_lag_s=history_s)
        yield whole(f"M1 a replica late by {fresh_s} s, history by {history_s} s", scenario)
    for status in (404, 410, 204):
        gone = answer("result", status, {"error": "gone"}, age_max_s=240)
        yield whole(f"M1 a young {status}", played(4, gone, history_lag_s=300))
    yield whole("M1 a late record", played(4, result_lag_s=300, history_lag_s=1, record_lag_s=900))
    yield whole("M1 a late end", played(4, result_lag_s=300, history_end_lag_s=600))


def _m2() -> Iterator[Case]:
    """A result without media."""
    empty: tuple[dict[str, Any], ...] = (
        {"output": None},
        {"output": []},
        {"output": ""},
        {},
        {"output": None, "error": "stopped by the safety filter"},
        {"images": []},
        {"output": [None]},
        {"output": {}},
    )
    for fields in empty:
        scenario = played(4, filtered_probability=1, filtered_fields=fields)
        yield whole(f"M2 {canonical_json(fields)}", scenario, done=0, rejected=4, within_s=300)
    scenario = played(6, filtered_words=["cup 2"], filtered_fields={"output": []})
    yield but_one("M2 for one prompt", scenario, rejected=1, within_s=300)
    text = {"flux-kontext-max": {"shape": "text", "price_usd": PRICE_USD}}
    empty_text = {"filtered_probability": 1, "filtered_fields": {"output": ""}}
    filtered = played(3, models=text, **empty_text)
    yield whole("M2 of a text model", filtered, done=0, rejected=3, within_s=300)


def _m3() -> Iterator[Case]:
    """Trouble at the CDN."""
    for until_s in (80, 240, 1800):
        away = rule("cdn", "http_503", until_s=until_s)
        yield whole(f"M3 503 for {until_s} s", played(8, away))
    for kind in ("403", "404", "drop_before", "stall", "html_as_png", "cut", "redirect"):
        location = {"location": "https://portal.test/login"} if kind == "redirect" else {}
        away = rule("cdn", kind, until_s=1200 if kind == "stall" else 300, **location)
        yield whole(f"M3 {kind} for some minutes", played(8, away), within_s=HOUR_S)
    for status, body in ((403, PAGE), (200, PAGE), (200, {"error": "try later"}), (451, "no")):
        away = answer("cdn", status, body, until_s=600)
        yield whole(f"M3 {status} and {type(body).__name__} {str(body)[:6]}", played(8, away))
    blocked = played(40, rule("cdn", "403", until_s=HOUR_S))
    yield whole("M3 blocked for an hour", blocked, bills_until=(HOUR_S, 16), within_s=2 * HOUR_S)
    private = {"save_faults": [SaveFault.FORBIDDEN_URL] * 12}
    fenced = played(40, plans={**private, "again_after_s": 60.0})
    yield whole("M3 at a private address for a while", fenced, bills_until=(300.0, 12), processes=2)
    night = played(8, rule("cdn", "drop_before", since_s=20, until_s=9 * HOUR_S))
    night = replace(night, longest_process_s=12 * HOUR_S)
    yield whole("M3 away for a night", night, processes=9, within_s=12 * HOUR_S)
    for lag_s in (60, 150, 1200):
        yield whole(f"M3 files late by {lag_s} s", played(8, cdn_lag_s=lag_s))
    other = rule("cdn", "http_503", host="cdn2", until_s=1200)
    yield whole("M3 one host of two", played(16, other, second_cdn_every=4))
    yield whole("M3 all as a part", played(4, rule("cdn", "partial")))
    yield whole("M3 Brotli", played(4, rule("cdn", "brotli")))
    cut = rule("cdn", "cut", per_request=True, count=1)
    yield whole("M3 an address for one download", played(4, cut, one_time_urls=True))
    terse = replace(played(4, cut, one_time_urls=True), untold=frozenset({"generation_url"}))
    yield whole("M3 an address for one download, and none in the history", terse)


def _m4() -> Iterator[Case]:
    """Files of odd kinds, and with a tail."""
    kinds = sorted({*ODD, "png+tail"})
    models = {f"model-{n}": {"format": kind, "latency_s": 5} for n, kind in enumerate(kinds)}
    specs = [
        JobSpec(f"job-{n}", slug, canonical_json({"prompt": slug}), f"job-{n}", price_usd=0.05)
        for n, slug in enumerate(models)
    ]
    names = {f"job-{n}": kind.partition("+")[0] for n, kind in enumerate(kinds)}
    for name, headers in (
        ("as declared", None),
        ("octet-stream", {"content-type": "application/octet-stream"}),
        ("as pictures", {"content-type": "image/png"}),
    ):
        rules = [rule("cdn", "headers", headers=headers)] if headers else []
        scenario = replace(played(1, *rules, models=models), specs=specs)
        yield whole(f"M4 {name}", scenario, extensions=names if name != "as pictures" else {})


def _m5() -> Iterator[Case]:
    """Codes that do not come from the application."""
    for status in (408, 499, 409, 444, 460, 463):
        for accepted in (True, False):
            odd = answer("submit", status, accepted=accepted, every=2, count=3)
            yield whole(f"M5 {status} {'after' if accepted else 'without'} acceptance",
                        played(8, odd))  # fmt: skip
    for status in (421, 423, 425):
        yield whole(f"M5 {status}", played(8, answer("submit", status, every=2, count=3)))
    for place in ("poll", "result"):
        for status in (402, 408, 409, 421, 423, 425, 499):
            odd = answer(place, status, per_request=True, count=8)
            yield whole(f"M5 {status} on {place}", played(3, odd))


def _w1() -> Iterator[Case]:
    """402."""
    spent: dict[str, Any] = {"credits_usd": 5.4 * PRICE_USD, "credits_status": 402}
    scenario = played(12, plans={"top_ups_usd": [10.0]}, **spent)
    few = {(Endpoint.SUBMIT, 402): 4}
    yield whole("W1 on submits", scenario, processes=2, most=few)
    for place in ("poll", "result"):
        odd = answer(place, 402, CREDITS, since_s=10, until_s=130)
        yield whole(f"W1 on {place}", played(6, odd))
    uploads = {
        "specs": [naming(spec, [0]) for spec in jobs(3)],
        "inputs": {path_of(0): picture(0)},
        "top_ups_usd": [0.0] * 3,
    }
    refused = answer("upload", 402, CREDITS, count=2)
    yield whole("W1 on upload", replace(played(3, refused), **uploads), processes=3)
    reserved = {"credits_usd": 10 * PRICE_USD, "credits_status": 402, "reserved_share": 1}
    wide = {"limits": Limits(concurrency=8)}
    yield whole("W1 reserved by running jobs", played(8, plans=wide, **reserved))
    for body in ({"error": "please wait"}, {"message": "not for you just now"}):
        vague = answer("submit", 406, body, after=4, count=3)
        yield whole(f"W1 in vague words {canonical_json(body)}", played(8, vague, plans=wide))
    later = {
        **uploads,
        "specs": [naming(spec, [n]) for n, spec in enumerate(jobs(3))] + jobs(6)[3:],
    }
    later["inputs"] = {path_of(n): picture(n) for n in range(3)}
    for status, text in ((507, "Insufficient Storage"), (413, "your storage is full"), (402, "")):
        refused = answer("upload", status, {"error": text}, count=1)
        room = replace(played(6, refused), **later)
        yield whole(f"W1 a full storage, {status}, and then room", room)
        refused = answer("upload", status, {"error": text}, until_s=300)
        cleared = replace(played(6, refused), **later)
        yield whole(f"W1 a full storage, {status}", cleared, processes=4)


def _w2() -> Iterator[Case]:
    """One odd answer."""
    once: tuple[tuple[str, FaultRule], ...] = (
        ("a 404 page", answer("submit", 404, count=1, after=3)),
        ("two 404 pages", answer("submit", 404, count=2, after=3)),
        ("a 410 page", answer("submit", 410, count=1, after=3)),
        ("a 405 on a submit", rule("submit", "405", count=1, after=3)),
        ("a 405 on a poll", rule("poll", "405", count=1, after=3)),
        ("a 405 on a result", rule("result", "405", count=1, after=1)),
        ("a v1 call that broke off", answer("submit", 500, POLLING, accepted=True, count=2)),
        ("an edge that is lost on a poll", answer("poll", 400, NO_HOST, count=9, after=3)),
        ("an edge that is lost on a result", answer("result", 400, NO_HOST, count=9, after=1)),
        ("a redirect on a submit", answer("submit", 302, headers={"location": "/x"}, count=1)),
        ("a redirect on a poll", answer("poll", 307, headers={"location": "/x"}, count=1)),
        ("a redirect on a result", answer("result", 301, headers={"location": "/x"}, count=1)),
    )
    for name, odd in once:
        yield whole(f"W2 {name}", played(12, odd))
    for latency_s in (90, 200):
        slow = played(4, latency_s=latency_s, sync_breaks_after_s=100)
        yield whole(f"W2 v1 jobs of {latency_s} s", replace(slow, specs=jobs(4, Mode.BLOCKING)))
    for after in (0, 5):
        lost = played(12, answer("submit", 400, NO_HOST, count=1, after=after))
        at_most = 1 if after else 2  # from the start it is a wrong address
        yield whole(f"W2 an edge that is lost on submit {after}", lost, processes=at_most)
    for status, body in (
        (403, PAGE),
        (403, {"message": "Forbidden"}),
        (406, {"error": "No."}),
        (404, PAGE),
        (400, PAGE),
    ):
        firewall = answer("submit", status, body, text="cup 5")
        name = f"W2 {status} and {type(body).__name__} for one prompt"
        yield but_one(name, played(12, firewall), bills=11)
    for kind in ("401", "403"):
        for place, more in (("any", {"since_s": 60, "until_s": 150}), ("credits", {})):
            name = f"W2 {kind} on {place}"
            yield whole(name, played(12, rule(place, kind, **more)))


def _w3() -> Iterator[Case]:
    """Runs that never end."""
    for kind in ("http_500", "stall", "garbled", "404"):
        few = {(Endpoint.POLL, None): 200, (Endpoint.CREDITS, None): 60}
        down = played(6, rule("poll", kind))
        yield whole(f"W3 status down: {kind}", down, within_s=900, most=few)
        one = played(12, rule("poll", kind, text="cup 3"))
        yield whole(f"W3 status of one request: {kind}", one, within_s=900, most=few)
    for kind in ("http_500", "drop_after", "403"):
        both = [rule(place, kind, text="cup 3") for place in ("poll", "result")]
        few = {(Endpoint.POLL, None): 300, (Endpoint.RESULT, None): 300}
        yield whole(f"W3 one request for ever: {kind}", played(12, *both), most=few)
    for until_s in (3400, 3500):
        down = [rule(place, "http_500", since_s=3, until_s=until_s) for place in ("poll", "result")]
        late = replace(played(8, *down), untold=frozenset({"generation_url"}))
        yield whole(f"W3 no result until {until_s} s, and no address ever", late, within_s=HOUR_S)
    killed = replace(late, interruptions=[Interruption(Mishap.KILL, 60)])
    yield whole("W3 no result for an hour, and a death", killed, within_s=HOUR_S, processes=2)
    for status in (401, 402, 403):
        odd = rule("history_record", str(status), text="cup 3")
        gone = rule("result", "404", text="cup 3")
        name = f"W3 one request that the history answers {status} for ever"
        yield but_one(name, played(6, odd, gone), rejected=0)
    poor = played(3, answer("history", 402, CREDITS), vanish_probability=1.0)
    yield whole("W3 results gone, and 402 from the history", poor, done=0, failed=0)
    probe = rule("credits", "http_500")
    for place in ("poll", "submit", "any"):
        brief = rule(place, "http_503", since_s=20, until_s=26)
        name = f"W3 the probe is down, and {place} for a moment"
        yield whole(name, played(12, probe, brief), within_s=900)
    for until_s in (300, 3000):
        full = played(8, plans={"quota_full_s": [(0.0, until_s)], "again_after_s": 600.0})
        most = {(Endpoint.CDN, 200): 80}
        yield whole(f"W3 no room for {until_s} s", full, processes=8, most=most)
    for word in ("Completed", "SUCCEEDED", "success", "done", "ready"):
        scenario = played(4, state_words={"COMPLETED": word})
        yield whole(f"W3 {word}", scenario, within_s=900)
    for word, status in (("CANCELLED", 200), ("error", 422), ("failed", 422), ("timeout", 200)):
        failing = {"failure_probability": 1, "state_words": {"FAILED": word}}
        scenario = played(4, failed_status=status, **failing)
        yield whole(f"W3 {word} under {status}", scenario, done=0, failed=4, within_s=900)


def _w5() -> Iterator[Case]:
    """Outputs of a model of pictures that are none."""
    outputs: tuple[Any, ...] = (
        "I cannot draw that.",
        "ftp://files.test/a.png",
        "s3://bucket/a.png",
        "/outputs/a.png",
        "outputs/a.png",
        True,
        ["error: nsfw"],
        {"message": "no", "nsfw": True},
        {"error": "blocked"},
    )
    for output in outputs:
        odd = rule("result", "output_fields", body={"output": output}, text="cup 2")
        yield but_one(f"W5 {canonical_json(output)}", played(5, odd), rejected=1, within_s=300)
    odd = rule("result", "output_fields", body={"message": "no", "nsfw": True}, text="cup 2")
    yield but_one("W5 a message alone", played(5, odd), rejected=1, within_s=300)


def _w6() -> Iterator[Case]:
    """Limits in windows shorter than a minute. How fast they are used is another matter."""
    quick = {"latency_s": 5}
    limits: tuple[tuple[str, int, dict[str, Any]], ...] = (
        ("5 in 1 s", 300, {"burst_limit": 5}),
        ("1 in 1 s", 50, {"burst_limit": 1}),
        ("5 in 1 s and 120 in 60 s", 120, {"rate_limit": 120, "burst_limit": 5}),
        *(
            (f"20 in 10 s, {form}", 120,
             {"burst_limit": 20, "burst_window_s": 10, "reset_form": form})
            for form in ("utc", "retry_date", "none")
        ),
    )  # fmt: skip
    for name, a_minute, settings in limits:
        plans = {"requests_per_minute": a_minute, "limits": Limits(concurrency=16)}
        yield whole(f"W6 {name}", played(24, plans=plans, **quick, **settings))


def _w7() -> Iterator[Case]:
    """Smaller wrongs."""
    for key in ("urls", "url", "fileUrls"):
        specs = [naming(spec, [0]) for spec in jobs(3)]
        scenario = replace(played(3, upload_key=key), specs=specs, inputs={path_of(0): picture(0)})
        most = {(Endpoint.UPLOAD, None): 1}
        yield whole(f"W7 uploads answer {key}", scenario, most=most)
    for place in ("poll", "result", "history", "any"):
        for body in (PAGE, {"ok": True}, ""):
            portal = answer(place, 200, body, since_s=20, until_s=260)
            lost = rule("submit", "drop_after", count=1) if place == "history" else None
            rules = [each for each in (lost, portal) if each]
            name = f"W7 {str(body)[:6] or 'nothing'} under 200 on {place}"
            yield whole(name, played(8, *rules))
    for body in ({"error": "Rate limit exceeded"}, CREDITS, {"error": "Service unavailable"}):
        odd = answer("submit", 200, body, count=2, after=2)
        scenario = played(8, odd, plans={"top_ups_usd": [0.0] * 4})
        yield whole(f"W7 200 and {body['error'][:12]}", scenario, processes=3)


def _r() -> Iterator[Case]:
    """Rough edges."""
    quick = {"models": {"flux-kontext-max": {"latency_s": 0.5, "price_usd": PRICE_USD}}}
    for count in (1, 3, 8):
        yield whole(f"R1 {count} quick jobs", played(count, **quick), within_s=60)
    for kind, more in (("drop_before", {}), ("http_503", {}), ("http_502", {"accepted": True})):
        for name, after in (("the last", 7), ("the first", 0)):
            odd = rule("submit", kind, after=after, count=1, **more)
            # Nothing later can show that a connection that broke under the last one lost it.
            undecided = kind == "drop_before" and after == 7
            judge = but_one if undecided else whole
            bills = {"bills": 7} if undecided else {}
            yield judge(f"R2 {kind} of {name} submit {sorted(more)}", played(8, odd), **bills)
    for status in (500, 502, 503):
        alone = rule("submit", f"http_{status}", count=1)
        yield whole(f"R2 {status} to the only submit", played(1, alone))
    lost = rule("submit", "drop_after", every=3, count=2)
    for offset_s, error_s in ((5.5 * HOUR_S, 0), (-8 * HOUR_S, 0), (None, -3600), (3600, 400)):
        scenario = played(8, lost, history_offset_s=offset_s, date_error_s=error_s)
        yield whole(f"R3 history {offset_s} s ahead, dates by {error_s} s", scenario)
    for headers in (
        {"retry-after": "3600"},
        {"x-rate-limit-reset-at-utc": "2999-01-01T00:00:00Z"},
        {"retry-after": "soon"},
    ):
        odd = answer("any", 429, {"error": "Rate limit exceeded"}, headers=headers, count=1)
        yield whole(f"R4 {headers}", played(4, odd))
    yield whole("R4 ids without dashes", played(4, lost, request_ids="hex"))
    for place in ("submit", "poll", "result"):
        squeezed = rule(place, "brotli", per_request=True, count=2)
        yield whole(f"R8 Brotli on {place}", played(4, squeezed))


CASES: tuple[Case, ...] = tuple(
    case for kind in (_m1, _m2, _m3, _m4, _m5, _w1, _w2, _w3, _w5, _w6, _w7, _r) for case in kind()
)
"""Every case; names are unique."""
