"""Bugs about what models make: kinds, texts, workflows; and about failures that may pass."""

from __future__ import annotations

from tests.simulation.mutant import Mutant

_OUTPUTS = "tests/providers/segmind/test_outputs.py"
_RESPONSES = "tests/providers/segmind/test_responses.py"

MUTANTS = (
    Mutant(
        "declared-text-is-believed",
        "a model of pictures whose page says text is done with a text",
        "    if is_of_media is is_of_text:\n",
        "    if True:\n",
        tests="tests/core/catalog/test_kinds.py",
    ),
    Mutant(
        "first-results-teach-nothing",
        "a model that the catalogue does not know is done with a refusal in words",
        "        scheduler.media_models.add(job.model)\n",
        "        pass\n",
        tests="tests/core/scheduling/test_state.py",
    ),
    Mutant(
        "kinds-forgotten-by-the-next-process",
        "after a restart a model may bring a text in place of its pictures again",
        "        self.media_models.update(media_models_of(notes))\n",
        "",
        tests="tests/core/scheduling/test_state.py",
    ),
    Mutant(
        "last-frame-is-lost",
        "media beside an address are not fetched",
        "        yield from _beside(value)\n        return\n",
        "        return\n",
        tests=_OUTPUTS,
    ),
    Mutant(
        "message-counts-as-output",
        "a message under 200 is saved as the output",
        "for key, value in rest.items() if key not in _SAYING):\n",
        "for key, value in rest.items()):\n",
        tests=_OUTPUTS,
    ),
    Mutant(
        "refusal-in-words-hidden",
        "what an image model said instead of a picture is not told",
        'return FoundOutputs(refusal=f"finished without a file: {said}")\n',
        'return FoundOutputs(refusal="finished without a file")\n',
        tests=_OUTPUTS,
    ),
    Mutant(
        "citation-is-downloaded",
        "a page that a text refers to is fetched as its output, and the text is dropped",
        "    chat = chat_of(body)\n    if chat is not None:\n",
        "    chat = chat_of(body)\n    if chat is not None and not find_media(body):\n",
        tests=_OUTPUTS,
    ),
    Mutant(
        "text-stays-in-its-json",
        "a text model brings JSON alone, and nobody can read its text",
        "    return FoundOutputs((*map(_text_file, texts), answer))\n",
        "    return FoundOutputs((answer,))\n",
        tests=_OUTPUTS,
    ),
    Mutant(
        "whole-answer-is-dropped",
        "what a text model said beside its text is thrown away",
        "    return FoundOutputs((*map(_text_file, texts), answer))\n",
        "    return FoundOutputs(tuple(map(_text_file, texts)))\n",
        tests=_OUTPUTS,
    ),
    Mutant(
        "tokens-not-counted",
        "what a text model counts is not read",
        "        input_tokens=usage.input_tokens,\n",
        "        input_tokens=None,\n",
        tests=_RESPONSES,
    ),
    Mutant(
        "moderation-is-tried-again",
        "what moderation refused is submitted again and again",
        "    return not any(word in lowered for word in _FOR_GOOD)\n",
        "    return True\n",
        tests="tests/providers/segmind/test_errors.py",
    ),
    Mutant(
        "failed-without-end",
        "a job that fails every time is submitted without end",
        "    if not job.listed or submits >= limits.max_attempts:\n",
        "    if not job.listed:\n",
        night="failures_without_end",
    ),
    Mutant(
        "failed-is-charged",
        "what failed and was tried again counts as paid for",
        "    if change.attempt_state in _FREE or change.event.kind in _FAILED:\n",
        "    if change.attempt_state in _FREE or change.event.kind is EventKind.FAILED:\n",
        tests="tests/store/test_sqlite_ledger.py",
    ),
    Mutant(
        "nameless-failure-is-tried-again",
        "the row of a v1 call that failed is taken for that of the next one, which is paid twice",
        "        may = failed.may_pass and bool(known_id)\n",
        "        may = failed.may_pass\n",
        tests="tests/providers/segmind/test_responses.py",
    ),
    Mutant(
        "failed-by-the-history-is-tried-again",
        "a row of the history that says FAILED, perhaps another's, leads to one more submit",
        "    may = call is not CallKind.HISTORY and not receipt.cost_usd and may_pass(said)\n",
        "    may = not receipt.cost_usd and may_pass(said)\n",
        tests="tests/providers/segmind/test_responses.py",
    ),
    Mutant(
        "failed-at-once-again",
        "what failed under load is submitted again in the same moment",
        "    retry_at = backoff_at(event.at, FAILED_TROUBLE + submits, job.key)\n",
        "    retry_at = event.at\n",
        tests="tests/core/scheduling/test_policy.py",
    ),
    Mutant(
        "model-vouches-for-a-workflow",
        "a workflow that the history never lists is paid for again, since it lists a model",
        "                and door_of(request.model) == door\n",
        "",
        tests="tests/core/reconciliation/test_reconcile.py",
    ),
)
