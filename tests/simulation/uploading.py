"""Nights in which jobs name local files: shared by several, refused, lost, or gone."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import replace

from batchgen.core.common.json import canonical_json
from batchgen.core.jobs.placeholders import Content
from batchgen.core.jobs.spec import InputFile, JobSpec
from batchgen.providers.segmind.simulator import Endpoint, FaultKind, FaultRule
from batchgen.testing.rehearsal import Scenario

UPLOADING = frozenset({3, 8, 17})
"""Seeds modulo 20 whose jobs name files."""
FAULTS_END_S = 3600.0
FAULTS = (
    FaultKind.DROP_BEFORE,
    FaultKind.DROP_AFTER,
    FaultKind.STALL,
    FaultKind.CUT,
    FaultKind.GARBLED,
    FaultKind.SLOW,
    FaultKind.HTTP_400,
    FaultKind.HTTP_401,
    FaultKind.HTTP_429,
    FaultKind.HTTP_500,
    FaultKind.HTTP_502,
    FaultKind.HTTP_503,
    FaultKind.HTTP_504,
    FaultKind.CREDITS_406,
)
PNG = b"\x89PNG\r\n\x1a\n"


def picture(number: int) -> bytes:
    """The bytes of one of many files."""
    return PNG + f"picture {number}".encode() * (number + 1)


def path_of(number: int) -> str:
    """Where it stands."""
    return f"photos/{number}.png"


def file_of(number: int) -> InputFile:
    """What was seen of it."""
    data = picture(number)
    digest = hashlib.sha256(data).hexdigest()
    return InputFile(path_of(number), len(data), "image/png", digest, f"stamp {number}")


def naming(spec: JobSpec, numbers: Sequence[int]) -> JobSpec:
    """The job with these pictures as well."""
    files = tuple(file_of(number) for number in dict.fromkeys(numbers))
    names = [Content(file.sha256, file.size).placeholder for file in files]
    body = canonical_json({**json.loads(spec.body), "pictures": names})
    return spec._replace(body=body, inputs=files)


def with_uploads(scenario: Scenario, seed: int) -> Scenario:
    """The night with jobs that name files; most seeds: as it was."""
    if seed % 20 not in UPLOADING:
        return scenario
    chance = random.Random(f"{seed}/uploads")
    count = chance.choice([1, 3, 8])
    specs = [
        naming(spec, [chance.randrange(count) for _ in range(chance.choice([1, 1, 2]))])
        if chance.random() < 0.7
        else spec
        for spec in scenario.specs
    ]
    inputs = {path_of(number): picture(number) for number in range(count)}
    if count > 1 and chance.random() < 0.3:
        inputs[path_of(0)] = picture(99)
    elif count > 1 and chance.random() < 0.3:
        del inputs[path_of(0)]
    rules = [
        FaultRule(
            where=Endpoint.UPLOAD,
            kind=kind,
            probability=chance.choice([0.1, 0.3]),
            until_s=FAULTS_END_S,
        )
        for kind in chance.sample(FAULTS, chance.choice([0, 1, 3]))
    ]
    faults = (*rules, *scenario.service.faults)
    service = scenario.service.model_copy(update={"faults": faults})
    return replace(scenario, specs=specs, inputs=inputs, service=service)
