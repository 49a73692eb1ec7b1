"""Hosts of finished files: a gate for each, closed by several jobs, opened by one file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.core.jobs.job import JobState as S
from batchgen.core.jobs.job import Output
from batchgen.core.scheduling.gates.file_hosts import (
    HOST_FAILS_AFTER,
    MAX_PROBE_DELAY_S,
    FileHosts,
    host_of,
    hosts_of,
)
from tests.core.builders import NOW, job

A, B = "a.example", "b.example"


def fetching(key, *hosts, model="flux-pro"):
    outputs = tuple(Output(n, url=f"https://{host}/{key}.png") for n, host in enumerate(hosts))
    return job(S.FETCHING, key, outputs=outputs, model=model)


def failing(*hosts, at=NOW):
    """Each of these hosts brought nothing for as many jobs as it takes."""
    made = FileHosts()
    for host in hosts:
        for key in range(1, HOST_FAILS_AFTER + 1):
            made.failed(host, key, "HTTP 503", at)
    return made


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://CDN.example/a.png", "cdn.example"),
        ("http://127.0.0.1:8000/a.png?x=https://b", "127.0.0.1:8000"),
        ("https://user:word@cdn.example/a", "cdn.example"),
        ("https://[::1]:80/a", "[::1]:80"),
        ("https://[::1/a", ""),
        ("/a.png", ""),
        ("", ""),
    ],
)
def test_the_host_of_an_address(url, host):
    assert host_of(url) == host


def test_the_hosts_of_a_job_are_those_of_its_addresses():
    assert hosts_of(fetching(1, A, B, A)) == {A, B}
    assert hosts_of(job(S.FETCHING, outputs=(Output(0, staged="1-1-0"),))) == frozenset()


@pytest.mark.parametrize(
    ("keys", "is_closed"),
    [
        ([1] * 50, False),
        ([1, 2] * 20, False),
        ([1, 2, 3], True),
        ([1, 2, None, 3, 4], False),
        ([1, 2, None, 3, 4, 5], True),
    ],
    ids=str,
)
def test_a_host_is_closed_by_different_jobs_in_a_row(keys, is_closed):
    """None stands for a file that came."""
    made = FileHosts()
    for key in keys:
        if key is None:
            made.brought([A])
        else:
            made.failed(A, key, "HTTP 403", NOW)

    assert set(made.closed) == ({A} if is_closed else set())


def test_a_closed_host_says_why_and_since_when():
    made = failing(A, at=NOW)
    made.failed(A, 9, "HTTP 404", NOW + 1)

    gate = made.closed[A]
    assert (gate.reason, gate.since_at, gate.probe_at) == ("HTTP 503", NOW, NOW + 2)
    assert made.first() == (A, gate)


def test_one_file_opens_its_host_and_no_other():
    made = failing(A, B)

    made.brought([A])

    assert set(made.closed) == {B}
    made.failed(A, 1, "HTTP 503", NOW)
    assert set(made.closed) == {B}, "it begins to count anew"


def test_probes_grow_apart_up_to_a_minute_and_tell_the_last_reason():
    made, delays, at = failing(A), [], NOW
    for number in range(8):
        due_at = made.closed[A].probe_at
        delays.append(due_at - at)
        at = due_at
        made.failed(A, 1, f"answer {number}", at)

    assert delays == [2.0, 4.0, 8.0, 16.0, 32.0, *[MAX_PROBE_DELAY_S] * 3]
    assert (made.closed[A].reason, made.closed[A].since_at) == ("answer 7", NOW)


def test_what_was_under_way_when_it_closed_is_no_probe():
    made = failing(A)
    for key in range(10, 30):
        made.failed(A, key, "HTTP 503", NOW + 1)

    assert (made.closed[A].probes, made.closed[A].probe_at) == (0, NOW + 2)


@pytest.mark.parametrize(
    ("closed", "hosts", "at"),
    [
        ([], [A], NOW),
        ([B], [A], NOW),
        ([A], [A], NOW + 2),
        ([A], [A, B], NOW + 2),
        ([A, B], [A, B], NOW + 9),
        ([A], [], NOW),
    ],
    ids=str,
)
def test_when_the_files_of_a_job_may_be_tried_for(closed, hosts, at):
    made = failing(*closed)
    if B in made.closed:
        made.closed[B].probe_at = NOW + 9

    assert made.next_try_at(fetching(7, *hosts), NOW) == at
    assert made.next_try_at(fetching(7, *hosts), NOW + 60) == NOW + 60


def test_one_download_at_a_time_probes_a_closed_host():
    made = failing(A, B)
    made.begin(fetching(1, A))

    assert made.next_try_at(fetching(2, A, B), NOW + 60) is None
    assert made.next_try_at(fetching(3, B), NOW + 60) == NOW + 60
    assert made.next_try_at(fetching(4, "c.example"), NOW) == NOW

    made.end(1)
    assert made.next_try_at(fetching(2, A, B), NOW + 60) == NOW + 60


def test_a_download_from_an_open_host_is_no_probe():
    made = FileHosts()
    made.begin(fetching(1, A))
    for key in range(2, 2 + HOST_FAILS_AFTER):
        made.failed(A, key, "HTTP 503", NOW)

    assert made.next_try_at(fetching(9, A), NOW + 60) == NOW + 60


@pytest.mark.parametrize(
    ("named", "closed", "held"),
    [
        ([(A, "flux-pro")], [], False),
        ([(A, "flux-pro")], [A], True),
        ([(A, "flux-pro")], [B], False),
        ([(A, "flux-max")], [A], True),
        ([], [A], True),
        ([], [], False),
        ([(A, "flux-pro"), (B, "flux-pro")], [A], False),
        ([(A, "flux-pro"), (B, "flux-pro")], [B], True),
    ],
    ids=str,
)
def test_models_whose_files_stand_there_are_held(named, closed, held):
    """Where they stood the last time counts; of a model never seen, any closed host may be it."""
    made = failing(*closed)
    for key, (host, model) in enumerate(named, 50):
        made.named(fetching(key, host, model=model))

    assert made.holds("flux-pro") is held


def test_media_inside_an_answer_name_no_host():
    made = failing(A)
    made.named(fetching(1, B))
    made.named(job(S.FETCHING, outputs=(Output(0, staged="1-1-0"),)))

    assert not made.holds("flux-pro")


def test_a_host_that_nobody_waits_for_is_forgotten():
    made = failing(A, B)

    made.keep({B, "c.example"})

    assert set(made.closed) == {B}
    made.failed(A, 1, "HTTP 503", NOW)
    assert A not in made.closed


HEARD = st.lists(st.tuples(st.sampled_from([A, B]), st.integers(1, 5), st.booleans()), max_size=60)


@given(HEARD)
def test_a_host_is_closed_exactly_while_several_jobs_failed_since_its_last_file(heard):
    made, failed = FileHosts(), {A: set(), B: set()}
    for step, (host, key, came) in enumerate(heard):
        if came:
            made.brought([host])
            failed[host].clear()
        else:
            made.failed(host, key, "HTTP 503", NOW + step)
            failed[host].add(key)

    assert set(made.closed) == {h for h, keys in failed.items() if len(keys) >= HOST_FAILS_AFTER}
    for gate in made.closed.values():
        assert gate.probe_at <= NOW + len(heard) + MAX_PROBE_DELAY_S
