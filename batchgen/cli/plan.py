"""`batchgen plan`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchgen.cli.common import print_json, say
from batchgen.core.exit_code import ExitCode

if TYPE_CHECKING:
    from batchgen.adapters.manifest_file import ManifestFile
    from batchgen.adapters.run_directory import RunDirectory
    from batchgen.adapters.sqlite.prospect import Prospect
    from batchgen.core.bounds import Pace, Span
    from batchgen.core.forecast import Forecast
    from batchgen.core.freight import Freight
    from batchgen.core.polling import Latencies

_EXAMPLE = """Example:

\b
  batchgen plan jobs/demo.yaml
  batchgen plan jobs/demo.yaml --rpm 5 --max-spend 0.50     # what if
  batchgen plan jobs/demo.yaml --json"""


@dataclass(frozen=True, slots=True)
class Request:
    """The arguments of one `plan`; None leaves what the manifest says."""

    path: Path
    run_dir: Path | None
    concurrency: int | None
    requests_per_minute: int | None
    max_spend_usd: float | None
    limit: int | None


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is known before a run: what is to do, what it costs, how long it takes.

    `prospect` is None where nothing was run yet. Sizes in bytes; `free_bytes` on the disk of the
    finished files or, where they go into a bucket, of the record; None where it cannot be told.
    `uploads` are files and bytes. `fitting` is how many jobs fit into `max_duration`, None where
    all do.
    """

    request: Request
    manifest: ManifestFile
    directory: RunDirectory
    prospect: Prospect | None
    forecast: Forecast
    latencies: Latencies
    pace: Pace
    span: Span
    fitting: int | None = None
    uploads: tuple[int, int] = (0, 0)
    free_bytes: int | None = None

    @property
    def cap_usd(self) -> float | None:
        """The most to spend: the command line's word, else the manifest's."""
        of_manifest = self.manifest.manifest.budget.max_spend
        return of_manifest if self.request.max_spend_usd is None else self.request.max_spend_usd

    @property
    def committed_usd(self) -> float:
        """What earlier runs spent, or may have spent: the cap is held against it."""
        if self.prospect is None:
            return 0.0
        return self.prospect.totals.settled_usd + self.prospect.totals.reserved_usd

    @property
    def gone(self) -> int:
        """Jobs of the record that the manifest does not have."""
        from batchgen.core.standing import Standing

        if self.prospect is None:
            return 0
        known = self.forecast.count - self.forecast.standings[Standing.NEW]
        return max(0, self.prospect.job_count - known)


@click.command("plan", epilog=_EXAMPLE, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option("--run-dir", type=click.Path(path_type=Path), help="Default: runs/<name>.")
@click.option(
    "--concurrency", type=click.IntRange(1, 10_000), help="Reckon with so many jobs at a time."
)
@click.option(
    "--rpm", type=click.IntRange(1, 1_000_000), help="Reckon with so many requests a minute."
)
@click.option("--max-spend", type=click.FloatRange(0), help="Reckon with this cap, in USD.")
@click.option("--limit", type=click.IntRange(1), help="Reckon with the first so many submits.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(manifest: Path, *, as_json: bool, **options: Any) -> int:
    """Say what MANIFEST will come to: jobs, cost, time, disk; spends nothing and needs no key.

    Every job is made and checked, and held against what was run of it before. Prices and latencies
    are those that the run has seen, where it has seen any, else the manifest's and the catalogue's.
    """
    from batchgen.cli import plan_view, plan_warnings

    plan = plan_of(
        Request(
            manifest,
            options["run_dir"],
            options["concurrency"],
            options["rpm"],
            options["max_spend"],
            options["limit"],
        )
    )
    if as_json:
        print_json(plan_view.as_json(plan))
    else:
        click.echo(plan_view.text(plan))
        for warning in plan_warnings.warnings(plan):
            say(f"warning: {warning}")
    return ExitCode.COMPLETED


def plan_of(request: Request) -> Plan:
    """Read the manifest and the record. Raises `ManifestError`, `StateError`."""
    from batchgen.adapters.manifest_file import load_manifest
    from batchgen.adapters.outputs_place import place_of, with_place
    from batchgen.adapters.run_directory import RunDirectory, default_directory
    from batchgen.core.bounds import fitting, span, works

    manifest = load_manifest(request.path, run_dir=request.run_dir, lazily=True)
    name, budget = manifest.manifest.name, manifest.manifest.budget
    directory = RunDirectory(request.run_dir) if request.run_dir else default_directory(name)
    place = place_of(manifest.manifest.output.dir, request.path.parent, directory)
    directory = with_place(directory, place)
    forecast, prospect, uploaded = _forecast(manifest, directory, request.limit)
    latencies, pace = _latencies(prospect), _pace(manifest, request)
    work = works(forecast, latencies, pace)
    uploads = forecast.freight.without(uploaded)
    whole = span(work, pace, uploads[0])
    is_cut = budget.max_duration is not None and whole.time_s > budget.max_duration
    return Plan(
        request,
        manifest,
        directory,
        prospect,
        forecast,
        latencies,
        pace,
        whole,
        fitting=fitting(work, pace, budget.max_duration or 0.0) if is_cut else None,
        uploads=uploads,
        free_bytes=_free_bytes(directory.path if directory.bucket else directory.outputs),
    )


def _forecast(
    manifest: ManifestFile, directory: RunDirectory, limit: int | None
) -> tuple[Forecast, Prospect | None, Freight]:
    """Every job once, with its standing where anything was run; and what is uploaded already."""
    from batchgen import catalog
    from batchgen.adapters.sqlite.prospect import ProspectReader
    from batchgen.core.forecast import Forecast
    from batchgen.core.freight import Freight
    from batchgen.core.standing import Standing

    if not directory.state.exists():
        forecast = Forecast(catalog.load(), limit=limit)
        for spec in manifest.jobs():
            forecast.add(spec, Standing.NEW)
        return forecast, None, Freight()
    with closing(ProspectReader(directory.state)) as reader:
        prospect = reader.prospect()
        forecast = Forecast(catalog.load(), prospect.experience, limit)
        for spec, standing in reader.standings(manifest.jobs()):
            forecast.add(spec, standing)
        return forecast, prospect, reader.uploaded()


def _latencies(prospect: Prospect | None) -> Latencies:
    """What a run would begin with."""
    from batchgen import catalog
    from batchgen.core.learned import LATENCIES_NOTE
    from batchgen.core.polling import Latencies

    latencies = Latencies({m.slug: m.latency_s for m in catalog.load() if m.latency_s})
    if prospect is not None:
        latencies.recall(prospect.notes.get(LATENCIES_NOTE))
    return latencies


def _pace(manifest: ManifestFile, request: Request) -> Pace:
    from batchgen.core.bounds import Own, Pace
    from batchgen.core.limits import RateScope

    budget = manifest.manifest.budget
    return Pace(
        request.concurrency or budget.concurrency,
        request.requests_per_minute or budget.requests_per_minute,
        RateScope(budget.rate_limit_scope),
        {
            slug: Own(own.concurrency, own.requests_per_minute)
            for slug, own in budget.models.items()
        },
    )


def _free_bytes(path: Path) -> int | None:
    """What is free where a run directory is, or will be made."""
    import shutil

    for folder in _upwards(path):
        try:
            return shutil.disk_usage(folder).free
        except FileNotFoundError:
            continue
        except OSError:
            return None
    return None


def _upwards(path: Path) -> Iterator[Path]:
    absolute = path.absolute()
    yield absolute
    yield from absolute.parents
