"""`batchgen report`: a run as one HTML file that needs nothing beside it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from batchgen.errors import BatchgenError, UserError
from batchgen.outputs.reading import open_outputs
from batchgen.ports import OutputFiles
from batchgen.store.sqlite.page import PageQueries, ShownFile, ShownJob
from batchgen.system.run_directory import RunDirectory
from batchgen.system.version import installed_version
from batchgen.web.charts import charts_of
from batchgen.web.excerpts import with_excerpts
from batchgen.web.page import data_block, page
from batchgen.web.rows import row_of
from batchgen.web.summary import summary_of, titled
from batchgen.web.thumbnails import PICTURES, Thumbnails, Wanted

JOBS_A_BLOCK = 500
THUMBNAILS_A_BLOCK = 100
"""A block of thumbnails is read when one of them comes into sight."""
MOST_EMBEDDED_BYTES = 700 * 2**20
"""Larger pages are opened by no browser: texts of theirs end at 512 MB to 1 GB. A guess."""


@dataclass(frozen=True, slots=True)
class ReportSettings:
    """Where a report goes and what it holds: at most so many jobs; `embed`: originals as well."""

    target: Path
    most: int
    embed: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """A report that was written; `shown_count` of `job_count` jobs are in it, sizes in bytes."""

    path: Path
    job_count: int
    shown_count: int
    picture_count: int
    size: int


@dataclass(frozen=True, slots=True)
class _Content:
    """What was read of the run, all of one instant.

    `rows` are the jobs as the page takes them. In each file of theirs, `t` is its number in
    `pictures`, and `o` its number in `originals`, where they are embedded.
    """

    summary: dict[str, Any]
    charts: dict[str, Any]
    rows: list[dict[str, Any]]
    pictures: list[Wanted]
    originals: list[ShownFile]


def write_report(
    directory: RunDirectory, settings: ReportSettings, now: float, told: Callable[[int, int], None]
) -> Report:
    """Write the report of a run, whole or not at all.

    `told` is called with the thumbnails made so far and their count. Raises `UserError` where it
    cannot be written, or would be too large for a browser.
    """
    outputs = open_outputs(directory)
    content = _read(directory, outputs, settings, now)
    with Thumbnails(outputs, directory.thumbnails) as thumbnails:
        made = _counted(thumbnails.of(content.pictures), len(content.pictures), told)
        later = chain(_thumbnail_blocks(made), _originals(outputs, content.originals))
        data = _data(content, settings, links=_links(directory, settings))
        title = str(content.summary["name"])
        size = _write(settings.target, page(title, data, later, live=False))
    summary = content.summary
    return Report(settings.target, summary["total"], len(content.rows), len(content.pictures), size)


def _read(
    directory: RunDirectory, outputs: OutputFiles, settings: ReportSettings, now: float
) -> _Content:
    gallery = PageQueries(directory.state, is_known=True)
    try:
        with gallery.snapshot():
            summary = summary_of(gallery, titled(directory.path), now)
            content = _Content(summary, charts_of(gallery), [], [], [])
            for job in gallery.newest(settings.most):
                _add_job(content, job, outputs, embed=settings.embed)
    finally:
        gallery.close()
    _refuse_too_large(content.originals)
    return content


def _add_job(content: _Content, job: ShownJob, outputs: OutputFiles, *, embed: bool) -> None:
    row = with_excerpts(row_of(job), outputs)
    for file, shown in zip(job.files, row.get("files", ()), strict=True):
        if file.media_type in PICTURES:
            shown["t"] = len(content.pictures)
            content.pictures.append(Wanted(file.name, file.sha256))
        if embed:
            shown["o"] = len(content.originals)
            content.originals.append(file)
    content.rows.append(row)


def _links(directory: RunDirectory, settings: ReportSettings) -> str:
    """Where the outputs are, seen from the report; empty where they are not beside it."""
    beside = settings.target.parent.resolve() == directory.path.resolve()
    at_home = directory.place == str(directory.home)
    return f"{directory.home.name}/" if beside and at_home and not settings.embed else ""


def _refuse_too_large(originals: Sequence[ShownFile]) -> None:
    size = sum(file.size for file in originals)
    if size > MOST_EMBEDDED_BYTES:
        raise UserError(
            f"the originals are {size / 1e6:,.0f} MB, and no browser opens such a page.\n"
            "    Leave out --embed (thumbnails stay), or take fewer jobs with --most"
        )


def _data(content: _Content, settings: ReportSettings, *, links: str) -> Iterator[str]:
    """The blocks that the page begins with: the run, and its jobs."""
    yield data_block(
        "run",
        {
            "live": False,
            "batchgen": installed_version(),
            "links": links,
            "embedded": settings.embed,
            "per_block": THUMBNAILS_A_BLOCK,
            "summary": content.summary,
            "charts": content.charts,
        },
    )
    for number, block in enumerate(_blocks(content.rows, JOBS_A_BLOCK)):
        yield data_block(f"jobs-{number}", block)


def _thumbnail_blocks(made: Iterable[bytes | None]) -> Iterator[str]:
    texts = (None if data is None else base64.b64encode(data).decode() for data in made)
    for number, block in enumerate(_blocks(texts, THUMBNAILS_A_BLOCK)):
        yield data_block(f"thumbnails-{number}", block)


def _originals(outputs: OutputFiles, files: Iterable[ShownFile]) -> Iterator[str]:
    for number, file in enumerate(files):
        try:
            with outputs.open(file.name) as opened:
                data = opened.read()
        except (OSError, BatchgenError):
            continue  # the page tells that it is not there
        yield data_block(f"original-{number}", base64.b64encode(data).decode())


def _counted(
    made: Iterable[bytes | None], count: int, told: Callable[[int, int], None]
) -> Iterator[bytes | None]:
    for number, data in enumerate(made, 1):
        told(number, count)
        yield data


def _blocks(things: Iterable[Any], count: int) -> Iterator[list[Any]]:
    waiting = iter(things)
    while block := list(islice(waiting, count)):
        yield block


def _write(target: Path, pieces: Iterable[str]) -> int:
    """Write a file whole and then rename it; its size in bytes."""
    partial = target.with_name(f".{target.name}.part")
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.writelines(pieces)
        size = partial.stat().st_size
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise UserError(
            f"{target} cannot be written: {error.strerror or error}\n"
            "    Choose another place with --out"
        ) from error
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return size
