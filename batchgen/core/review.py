"""Everything to be said about a manifest before it runs, at its place in the text.

Every job is made once and thrown away again: its params are held against the catalogue, its id and
its output path against those of all others.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from batchgen.core.check import Severity, check, quoted
from batchgen.core.expand import Draft, drafts, model_path, param_path, unused_fields
from batchgen.core.manifest import Manifest
from batchgen.core.model import Catalog
from batchgen.core.names import collision_key
from batchgen.core.place import KeyPath, Remark, Source
from batchgen.core.twins import Twins, digest
from batchgen.errors import Problem


@dataclass(frozen=True, slots=True)
class Review:
    """What a review found. With `problems` nothing may run; `notices` are worth a line each."""

    problems: tuple[Problem, ...]
    notices: tuple[Problem, ...]
    job_count: int


@dataclass(slots=True)
class _Remarks:
    """Remarks collected: the same one about many jobs is kept once, and counted."""

    first: dict[tuple[KeyPath, str], Remark] = field(default_factory=dict)
    counts: dict[tuple[KeyPath, str], int] = field(default_factory=dict)

    def add(self, remark: Remark) -> None:
        """One more remark."""
        key = (remark.path, remark.remedy)
        self.first.setdefault(key, remark)
        self.counts[key] = self.counts.get(key, 0) + 1

    def problems(self, source: Source) -> tuple[Problem, ...]:
        """All of them in the order of the text."""
        told = [
            source.problem(
                remark.path,
                _counted(remark.what, self.counts[key]),
                remark.remedy,
                at_key=remark.at_key,
            )
            for key, remark in self.first.items()
        ]
        return tuple(sorted(told, key=lambda problem: (problem.line, problem.column)))


def review(manifest: Manifest, catalog: Catalog, source: Source | None = None) -> Review:
    """Expand a manifest and check every job; `source` gives the places of the problems."""
    return _Reviewer(manifest, catalog, source or Source()).review()


class _Reviewer:
    """One review under way."""

    def __init__(self, manifest: Manifest, catalog: Catalog, source: Source) -> None:
        self._manifest = manifest
        self._catalog = catalog
        self._source = source
        self._errors = _Remarks()
        self._notices = _Remarks()
        self._unknown_models: set[str] = set()
        self._ids = Twins()
        self._stems = Twins()
        # A path that ends in the id is as unique as the id.
        self._stems_follow_ids = manifest.output.filename.rsplit("/", 1)[-1] == "{id}"

    def review(self) -> Review:
        job_count = 0
        for item in drafts(self._manifest, self._catalog):
            if isinstance(item, Remark):
                self._errors.add(item)
                continue
            job_count += 1
            self._check_params(item)
            self._check_price(item)
            self._ids.add(item.spec.id)
            if not self._stems_follow_ids:
                self._stems.add(item.spec.stem)
        self._check_names()
        self._check_fields()
        return Review(
            self._errors.problems(self._source), self._notices.problems(self._source), job_count
        )

    def _check_params(self, draft: Draft) -> None:
        model = self._catalog.get(draft.spec.model)
        if model is None:
            self._unknown_model(draft)
            return
        for finding in check(model, draft.params):
            path = param_path(self._manifest, draft.entry, finding.param)
            is_key = finding.param not in model.parameters
            remark = Remark(path, finding.what, finding.remedy, at_key=is_key)
            (self._errors if finding.severity is Severity.ERROR else self._notices).add(remark)

    def _check_price(self, draft: Draft) -> None:
        slug = draft.spec.model
        if self._manifest.budget.max_spend is None or draft.spec.price_usd is not None:
            return
        what = f"what a job of {slug} costs is not known: under max_spend it does not start"
        remedy = "add `price:` (USD a job), or remove max_spend"
        self._notices.add(Remark(model_path(self._manifest, draft.entry), what, remedy))

    def _unknown_model(self, draft: Draft) -> None:
        slug = draft.spec.model
        if slug in self._unknown_models:
            return
        self._unknown_models.add(slug)
        close = self._catalog.nearest(slug)
        advice = f"did you mean {close}? Otherwise " if close else ""
        what = f"the model {slug} is not in the catalogue: its params go out unchecked"
        remedy = f"{advice}nothing needs to be done; `price:` tells what a job of it costs"
        self._notices.add(Remark(model_path(self._manifest, draft.entry), what, remedy))

    def _check_fields(self) -> None:
        for index in range(len(self._manifest.jobs)):
            for name in sorted(unused_fields(self._manifest, index)):
                what = f"no template names the field {name}: it only makes more equal jobs"
                remedy = f"put {{{name}}} into a parameter, or remove it"
                self._notices.add(
                    Remark(("jobs", index, "matrix", name), what, remedy, at_key=True)
                )

    def _check_names(self) -> None:
        """Names that occur twice: the jobs are made again to tell whose they are."""
        ids, stems = self._ids.found(), self._stems.found()
        if not ids and not stems:
            return
        first_ids: dict[str, tuple[int, str]] = {}
        first_stems: dict[str, tuple[int, str]] = {}
        for item in drafts(self._manifest, self._catalog):
            if isinstance(item, Remark):
                continue
            spec = item.spec
            if digest(spec.id) in ids and self._clashes(first_ids, item.entry, spec.id, "id"):
                continue
            if digest(spec.stem) in stems:
                self._clashes(first_stems, item.entry, spec.stem, "output path")

    def _clashes(self, first: dict[str, tuple[int, str]], index: int, name: str, kind: str) -> bool:
        """Whether a name is taken by an earlier job; says so where it is."""
        entry, taken = first.setdefault(collision_key(name), (index, ""))
        if not taken:
            first[collision_key(name)] = (index, name)
            return False
        path: KeyPath = ("jobs", index, "id") if self._manifest.jobs[index].id else ("jobs", index)
        line = self._source.places.key(("jobs", entry)).line
        whose = f"jobs[{entry}]" + (f" (line {line})" if line else "")
        if taken == name:
            what = f"the {kind} {quoted(name)} is already taken by a job of {whose}"
        else:
            what = (
                f"the {kind} {quoted(name)} and {quoted(taken)} of {whose} differ only by case "
                "or Unicode form: one file on many disks"
            )
        self._errors.add(Remark(path, what, _clash_remedy(kind)))
        return True


def _clash_remedy(kind: str) -> str:
    if kind == "id":
        return "give it another id; with a matrix, put its fields into the id: cup-{style}-{seed}"
    return "put {id} into output.filename"


def _counted(what: str, count: int) -> str:
    return what if count == 1 else f"{what} (and {count - 1:,} more like it)"
