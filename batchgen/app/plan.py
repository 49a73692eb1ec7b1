"""What a manifest will come to: read, checked, held against the record; nothing is spent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from batchgen.app.manifest_file import ManifestFile
from batchgen.app.options import RunOptions
from batchgen.app.outputs import default_run_directory
from batchgen.core.catalog.model import Catalog, latency_guesses
from batchgen.core.forecast.duration import RunLimits, Span
from batchgen.core.forecast.forecast import Forecast
from batchgen.core.forecast.upload_volume import UploadVolume
from batchgen.core.scheduling.latency import Latencies
from batchgen.store.sqlite.plan import Prospect
from batchgen.system.run_directory import RunDirectory


@dataclass(frozen=True, slots=True)
class RunPlan:
    """All that is known before a run: what is to do, what it costs, how long it takes.

    `prospect` is None where nothing was run yet. Sizes in bytes; `free_bytes` on the disk of the
    finished files or, where they go into a bucket, of the record; None where it cannot be told.
    `uploads` are files and bytes. `fitting` is how many jobs fit into `max_duration`, None where
    all do.
    """

    path: Path
    options: RunOptions
    manifest: ManifestFile
    directory: RunDirectory
    prospect: Prospect | None
    forecast: Forecast
    latencies: Latencies
    pace: RunLimits
    span: Span
    otherwise_s: float | None = None
    """Where it is not known yet which calls count: the time if all of them do."""
    fitting: int | None = None
    uploads: tuple[int, int] = (0, 0)
    free_bytes: int | None = None

    @property
    def cap_usd(self) -> float | None:
        """The most to spend: the command line's word, else the manifest's."""
        return self.options.cap_usd(self.manifest.manifest)

    @property
    def committed_usd(self) -> float:
        """What earlier runs spent, or may have spent: the cap is held against it."""
        if self.prospect is None:
            return 0.0
        return self.prospect.totals.settled_usd + self.prospect.totals.reserved_usd

    @property
    def gone(self) -> int:
        """Jobs of the record that the manifest does not have."""
        from batchgen.core.forecast.diff import JobDiff

        if self.prospect is None:
            return 0
        known = self.forecast.count - self.forecast.standings[JobDiff.NEW]
        return max(0, self.prospect.job_count - known)


def plan_of(path: Path, options: RunOptions) -> RunPlan:
    """Read the manifest and the record.

    Raises `ManifestError`, and `UserError` for a record from which no run would go on, or an
    environment in which none would begin; a key is not needed.
    """
    from batchgen.app.manifest_file import load_manifest
    from batchgen.app.older_ledger.evidence import refuse_older
    from batchgen.app.service import REHEARSAL_NAME, refuse_unusable
    from batchgen.core.forecast.duration import fitting, span, works
    from batchgen.providers.registry import SERVICE_NOTE

    manifest = load_manifest(path, run_dir=options.directory, lazily=True)
    budget = manifest.manifest.budget
    directory = default_run_directory(manifest, options.directory)
    directory.refuse_lost_state()
    refuse_older(directory)
    forecast, prospect, uploaded = _forecast(manifest, directory, options.limit)
    if prospect is None or prospect.notes.get(SERVICE_NOTE) != REHEARSAL_NAME:
        refuse_unusable()
    latencies = _latencies(manifest.text.catalog, prospect)
    pace = _pace(manifest, options, prospect)
    work = works(forecast, latencies, pace)
    uploads = forecast.upload_volume.without(uploaded)
    whole = span(work, pace, uploads[0])
    is_cut = budget.max_duration is not None and whole.time_s > budget.max_duration
    return RunPlan(
        path,
        options,
        manifest,
        directory,
        prospect,
        forecast,
        latencies,
        pace,
        whole,
        otherwise_s=_otherwise_s(forecast, latencies, pace, uploads[0]),
        fitting=fitting(work, pace, budget.max_duration or 0.0) if is_cut else None,
        uploads=uploads,
        free_bytes=_free_bytes(directory.path if directory.bucket else directory.outputs),
    )


def _forecast(
    manifest: ManifestFile, directory: RunDirectory, limit: int | None
) -> tuple[Forecast, Prospect | None, UploadVolume]:
    """Every job once, with its standing where anything was run; and what is uploaded already."""
    from batchgen.core.forecast.diff import JobDiff
    from batchgen.core.forecast.forecast import Forecast
    from batchgen.core.forecast.upload_volume import UploadVolume
    from batchgen.store.sqlite.plan import PlanQueries
    from batchgen.store.sqlite.schema import is_begun

    if not is_begun(directory.state):
        forecast = Forecast(manifest.text.catalog, limit=limit)
        for spec in manifest.jobs():
            forecast.add(spec, JobDiff.NEW)
        return forecast, None, UploadVolume()
    with closing(PlanQueries(directory.state)) as reader:
        prospect = reader.prospect()
        forecast = Forecast(manifest.text.catalog, prospect.experience, limit)
        for spec, standing in reader.standings(manifest.jobs()):
            forecast.add(spec, standing)
        return forecast, prospect, reader.uploaded()


def _latencies(catalog: Catalog, prospect: Prospect | None) -> Latencies:
    """What a run would begin with."""
    from batchgen.core.scheduling.latency import Latencies
    from batchgen.core.scheduling.learned import LATENCIES_NOTE

    latencies = Latencies(latency_guesses(catalog))
    if prospect is not None:
        latencies.load(prospect.notes.get(LATENCIES_NOTE))
    return latencies


def _pace(
    manifest: ManifestFile, options: RunOptions, prospect: Prospect | None = None
) -> RunLimits:
    from batchgen.core.forecast.run_settings import pace_of
    from batchgen.core.scheduling.learned import account_of

    budget = manifest.manifest.budget
    return pace_of(
        budget.model_copy(
            update={
                "concurrency": options.concurrency or budget.concurrency,
                "requests_per_minute": options.rpm or budget.requests_per_minute,
            }
        ),
        {} if prospect is None else account_of(prospect.notes),
    )


def _otherwise_s(
    forecast: Forecast, latencies: Latencies, pace: RunLimits, uploads: int
) -> float | None:
    from batchgen.core.forecast.duration import span, works
    from batchgen.core.jobs.policies import RateScope

    if not pace.is_assumed:
        return None
    counted = replace(pace, scope=RateScope.ALL)
    return span(works(forecast, latencies, counted), counted, uploads).time_s


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
