"""Nights with what stands between us and the service, and with services that are odd themselves:
middlemen and their pages, a CDN that is away, records that come late, answers in other words."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from batchgen.providers.segmind.simulator import CdnHost, Endpoint, FaultKind, FaultRule
from batchgen.testing.scenario import Scenario
from tests.simulation.widening import honest

ODD = frozenset({10, 12, 14, 16, 18})
"""Seeds modulo 20 of nights with oddities."""
FAULTS_END_S = 3600.0
RARELY = (0.05, 0.15, 0.3)
PAGE = "<html><body><h1>Please try again later</h1></body></html>"
ONE_PROMPT = '"cup 1"'
LONGEST_S = 8 * 3600.0
"""No process needs so long, whatever is answered about one request."""
CREDITS = {"error": "Insufficient credits. You have 0.0 credits."}
BODIES: tuple[Any, ...] = (PAGE, "", "no", {"message": "no"}, {"ok": True})
MIDDLEMEN = (408, 409, 421, 423, 425, 444, 449, 451, 460, 463, 499, 520, 524)
COME_LATER = (421, 423, 425)
POSTS = (Endpoint.SUBMIT, Endpoint.SYNC)
GETS = (Endpoint.POLL, Endpoint.RESULT, Endpoint.HISTORY_LIST, Endpoint.HISTORY_RECORD)
DELIVERIES = (
    FaultKind.WRONG_LENGTH,
    FaultKind.PARTIAL,
    FaultKind.BROTLI,
    FaultKind.HEADERS,
    FaultKind.CUT,
)
OUTPUTS: tuple[Any, ...] = (
    {"output": None},
    {"output": []},
    {"output": ""},
    {},
    {"output": "I cannot draw that."},
    {"output": "ftp://files.test/a.png"},
    {"output": "/outputs/a.png"},
    {"output": ["error: nsfw"]},
    {"output": {"message": "no", "nsfw": True}},
    {"message": "no"},
)

Oddity = Callable[[Scenario, random.Random], Scenario]


def with_oddities(scenario: Scenario, seed: int) -> Scenario:
    """The night with one to three oddities; most seeds: as it was."""
    if seed % 20 not in ODD:
        return scenario
    chance = random.Random(f"{seed}/odd")
    for oddity in chance.sample(ODDITIES, chance.choice([1, 2, 3])):
        scenario = oddity(scenario, chance)
    return honest(scenario) if any(map(_silences_history, scenario.service.faults)) else scenario


def _silences_history(rule: FaultRule) -> bool:
    """Whether the history answers nothing while the rule holds: then a 5xx is trusted to mean what
    is documented."""
    places = {Endpoint.ANY, Endpoint.HISTORY, Endpoint.HISTORY_LIST}
    return rule.where in places and rule.probability == 1.0 and not rule.text


def codes_to_posts(scenario: Scenario, chance: random.Random) -> Scenario:
    """Codes of middlemen, the POST accepted or not."""
    rules = [
        _told(place, chance, accepted=accepted)
        for place in POSTS
        for accepted in chance.sample([False, True], chance.choice([1, 2]))
    ]
    return _ruled(scenario, *rules)


def codes_to_gets(scenario: Scenario, chance: random.Random) -> Scenario:
    """The same to everything that is asked later."""
    return _ruled(scenario, *(_told(place, chance) for place in GETS))


def one_prompt_is_stopped(scenario: Scenario, chance: random.Random) -> Scenario:
    """A firewall does not like one text."""
    body, status = chance.choice([PAGE, {"message": "Forbidden"}]), chance.choice([400, 403, 406])
    firewall = _answer(Endpoint.SUBMIT, status, body, text=ONE_PROMPT)
    return _ruled(scenario, firewall.model_copy(update={"until_s": None}))


def one_request_is_broken(scenario: Scenario, chance: random.Random) -> Scenario:
    """What is asked about one job is answered by an error, as long as it lives."""
    places = chance.choice([[Endpoint.POLL], [Endpoint.RESULT], [Endpoint.POLL, Endpoint.RESULT]])
    kind = chance.choice([FaultKind.HTTP_500, FaultKind.HTTP_403, FaultKind.DROP_AFTER])
    rules = [FaultRule(where=each, kind=kind, text=ONE_PROMPT) for each in places]
    return _ruled(replace(scenario, longest_process_s=LONGEST_S), *rules)


def pages_under_200(scenario: Scenario, chance: random.Random) -> Scenario:
    """A portal or a page about maintenance, for minutes or now and then."""
    place = chance.choice([Endpoint.POLL, Endpoint.RESULT, Endpoint.HISTORY, Endpoint.ANY])
    body = chance.choice(BODIES)
    if chance.random() < 0.5:
        return _ruled(scenario, _answer(place, 200, body, **_some_minutes(chance)))
    return _ruled(scenario, _answer(place, 200, body, probability=chance.choice(RARELY)))


def errors_under_200(scenario: Scenario, chance: random.Random) -> Scenario:
    """Refusals of submits whose code says that all is well."""
    body = chance.choice([CREDITS, {"error": "Rate limit exceeded"}])
    return _ruled(scenario, _answer(Endpoint.SUBMIT, 200, body, probability=chance.choice(RARELY)))


def key_is_refused_for_a_while(scenario: Scenario, chance: random.Random) -> Scenario:
    """For everything a while, or for the call about credits for ever."""
    kind = chance.choice([FaultKind.HTTP_401, FaultKind.HTTP_403])
    if chance.random() < 0.5:
        return _ruled(scenario, FaultRule(where=Endpoint.CREDITS, kind=kind))
    since_s = chance.choice([20.0, 60.0, 300.0])
    rule = FaultRule(where=Endpoint.ANY, kind=kind, since_s=since_s, until_s=since_s + 90.0)
    return _ruled(scenario, rule)


def cdn_is_away(scenario: Scenario, chance: random.Random) -> Scenario:
    """For minutes, one host of it or both, behind each kind of answer."""
    host = chance.choice([None, CdnHost.CDN2])
    status, body = chance.choice([(403, PAGE), (404, ""), (503, PAGE), (200, PAGE)])
    away = _answer(Endpoint.CDN, status, body, host=host, **_some_minutes(chance))
    silent = FaultRule(
        where=Endpoint.CDN,
        kind=chance.choice([FaultKind.DROP_BEFORE, FaultKind.STALL]),
        host=host,
        **_some_minutes(chance),
    )
    return _world(_ruled(scenario, chance.choice([away, silent])), second_cdn_every=3)


def odd_deliveries(scenario: Scenario, chance: random.Random) -> Scenario:
    """Files that come whole, but not as files usually do."""
    rules = [
        FaultRule(
            where=Endpoint.CDN,
            kind=kind,
            probability=chance.choice(RARELY),
            headers={"content-type": chance.choice(["text/html", "application/octet-stream"])},
            header_bytes=9000,
            until_s=FAULTS_END_S,
        )
        for kind in chance.sample(DELIVERIES, 3)
    ]
    return _ruled(scenario, *rules)


def addresses_for_one_download(scenario: Scenario, chance: random.Random) -> Scenario:
    """And connections that break."""
    cut = FaultRule(where=Endpoint.CDN, kind=FaultKind.CUT, probability=chance.choice(RARELY))
    return _world(_ruled(scenario, cut), one_time_urls=True)


def records_come_late(scenario: Scenario, chance: random.Random) -> Scenario:
    """Each call learns of things in its own time."""
    lags_s = [0.0, 20.0, 60.0, 400.0]
    return _world(
        scenario,
        fresh_404_s=chance.choice([0.0, 45.0, 90.0]),
        status_lag_s=chance.choice(lags_s),
        result_lag_s=chance.choice(lags_s),
        history_lag_s=chance.choice(lags_s),
        record_lag_s=chance.choice(lags_s),
        history_end_lag_s=chance.choice(lags_s),
        cdn_lag_s=chance.choice(lags_s),
    )


def outputs_are_none(scenario: Scenario, chance: random.Random) -> Scenario:
    """A filter takes them, or something else stands in their place."""
    fields = chance.choice(OUTPUTS)
    if chance.random() < 0.5:
        probability = chance.choice([0.1, 0.5])
        return _world(scenario, filtered_probability=probability, filtered_fields=fields)
    rule = FaultRule(
        where=Endpoint.RESULT, kind=FaultKind.OUTPUT_FIELDS, body=fields, text=ONE_PROMPT
    )
    return _ruled(scenario, rule)


def credits_end_with_402(scenario: Scenario, chance: random.Random) -> Scenario:
    """Paid in while the run is stopped; running jobs may reserve more than they cost."""
    poor = _world(
        scenario,
        credits_usd=chance.choice([0.1, 0.4]),
        credits_status=chance.choice([402, 406]),
        credits_status_v1=chance.choice([402, 406]),
        reserved_share=chance.choice([0.0, 1.0]),
    )
    return replace(poor, top_ups_usd=[chance.choice([0.0, 0.3]), 0.5, 100.0])


def other_words(scenario: Scenario, chance: random.Random) -> Scenario:
    """Names and forms that differ from the documentation's."""
    done, failed = chance.choice(["Completed", "SUCCEEDED", "done"]), chance.choice(["error"])
    return _world(
        scenario,
        state_words={"COMPLETED": done, "FAILED": failed},
        failed_status=chance.choice([200, 422]),
        request_ids=chance.choice(["uuid", "hex"]),
        upload_key=chance.choice(["file_urls", "urls", "fileUrls", "url"]),
    )


def other_times(scenario: Scenario, chance: random.Random) -> Scenario:
    """A history in local time, a wrong `Date`, and answers to submits that are lost."""
    lost = FaultRule(
        where=Endpoint.SUBMIT, kind=FaultKind.DROP_AFTER, probability=0.15, until_s=FAULTS_END_S
    )
    return _world(
        _ruled(scenario, lost),
        history_offset_s=chance.choice([None, 19_800.0, -28_800.0]),
        date_error_s=chance.choice([0.0, -3600.0, 400.0]),
    )


def short_windows(scenario: Scenario, chance: random.Random) -> Scenario:
    """A limit for seconds beside that for minutes."""
    limit, window_s = chance.choice([(5, 1.0), (1, 1.0), (20, 10.0)])
    form = chance.choice(["utc", "epoch_ms", "retry_after", "none"])
    return _world(scenario, burst_limit=limit, burst_window_s=window_s, reset_form=form)


def quota_is_full(scenario: Scenario, chance: random.Random) -> Scenario:
    """Nothing can be written for a while, and it does not show in the space."""
    since_s = chance.choice([0.0, 60.0])
    return replace(scenario, quota_full_s=[(since_s, since_s + chance.choice([60.0, 900.0]))])


ODDITIES: tuple[Oddity, ...] = (
    codes_to_posts,
    codes_to_gets,
    one_prompt_is_stopped,
    one_request_is_broken,
    pages_under_200,
    errors_under_200,
    key_is_refused_for_a_while,
    cdn_is_away,
    odd_deliveries,
    addresses_for_one_download,
    records_come_late,
    outputs_are_none,
    credits_end_with_402,
    other_words,
    other_times,
    short_windows,
    quota_is_full,
)


def _told(place: Endpoint, chance: random.Random, *, accepted: bool = False) -> FaultRule:
    status, body = chance.choice(MIDDLEMEN), chance.choice(BODIES)
    if status in COME_LATER and accepted:
        body = PAGE  # in the service's own words these codes are believed
    return _answer(place, status, body, probability=chance.choice(RARELY), accepted=accepted)


def _answer(where: Endpoint, status: int, body: Any, **more: Any) -> FaultRule:
    settings = {"until_s": FAULTS_END_S, **more}
    return FaultRule(where=where, kind=FaultKind.ANSWER, status=status, body=body, **settings)


def _some_minutes(chance: random.Random) -> dict[str, float]:
    since_s = chance.choice([0.0, 20.0, 120.0])
    return {"since_s": since_s, "until_s": since_s + chance.choice([80.0, 300.0, 1500.0])}


def _ruled(scenario: Scenario, *rules: FaultRule) -> Scenario:
    """In front of the others: of several rules the first one decides."""
    return _world(scenario, faults=(*rules, *scenario.service.faults))


def _world(scenario: Scenario, **settings: object) -> Scenario:
    return replace(scenario, service=scenario.service.model_copy(update=settings))
