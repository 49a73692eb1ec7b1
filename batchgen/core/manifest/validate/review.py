"""Everything to be said about a manifest before it runs, at its place in the text.

Every job is made once and handed on: its params are held against the catalogue, its id and its
output path against those of all others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from batchgen.core.catalog.checker import Checker
from batchgen.core.catalog.model import Catalog, Parameter
from batchgen.core.catalog.validation import Severity, quoted
from batchgen.core.common.text import printable, scalar_text
from batchgen.core.jobs.spec import JobSpec
from batchgen.core.manifest.expansion.compile import model_path, param_path
from batchgen.core.manifest.expansion.expand import (
    NO_INPUTS,
    NO_SOURCES,
    Drafts,
    unused_fields,
)
from batchgen.core.manifest.expansion.input_files import InputFiles
from batchgen.core.manifest.expansion.job_template import Draft
from batchgen.core.manifest.rows.row import Sources
from batchgen.core.manifest.schema import Manifest
from batchgen.core.manifest.text.filenames import collision_key
from batchgen.core.manifest.text.locations import Diagnostic, KeyPath, ManifestText, RowLocation
from batchgen.core.manifest.validate.duplicates import Duplicates, EqualCopies, digest
from batchgen.errors import Problem

NO_SOURCE = ManifestText()
_MORE_SPOTS = 5


@dataclass(frozen=True, slots=True)
class Slip:
    """An unknown model that is called nearly like a known one; `problem` asks which is meant."""

    slug: str
    known: str
    problem: Problem


@dataclass(frozen=True, slots=True)
class Review:
    """What a review found. With `problems` nothing may run; `notices` are worth a line each, those
    about `slips` among them."""

    problems: tuple[Problem, ...]
    notices: tuple[Problem, ...]
    job_count: int
    slips: tuple[Slip, ...] = ()


@dataclass(slots=True)
class _Remarks:
    """Remarks collected: the same one about many jobs is kept once, and counted."""

    first: dict[tuple[KeyPath, str], Diagnostic] = field(default_factory=dict)
    counts: dict[tuple[KeyPath, str], int] = field(default_factory=dict)
    spots: dict[tuple[KeyPath, str], list[RowLocation]] = field(default_factory=dict)
    """The next few rows of each."""

    total: int = 0

    def add(self, remark: Diagnostic) -> None:
        """One more remark."""
        self.total += 1
        key = (remark.path, remark.remedy)
        self.counts[key] = self.counts.get(key, 0) + 1
        if self.first.setdefault(key, remark) is remark or remark.spot is None:
            return
        spots = self.spots.setdefault(key, [])
        if len(spots) < _MORE_SPOTS and remark.spot not in spots:
            spots.append(remark.spot)

    def problems(self, source: ManifestText) -> tuple[Problem, ...]:
        """All of them in the order of the text, those about rows by file and line behind it."""
        told = [
            source.tell(replace(remark, what=remark.what + self._more(key)))
            for key, remark in self.first.items()
        ]
        return tuple(
            sorted(
                told,
                key=lambda problem: (
                    problem.file != source.name,
                    problem.file,
                    problem.line,
                    problem.column,
                ),
            )
        )

    def _more(self, key: tuple[KeyPath, str]) -> str:
        """How many more there are, and the first of their rows: people mend all of them at once."""
        more = self.counts[key] - 1
        if not more:
            return ""
        spots = [f"{spot.file}:{spot.line}" for spot in self.spots.get(key, ())]
        where = f": {', '.join(spots)}" if spots else ""
        cut = " …" if 0 < len(spots) < more else ""
        return f" (and {more:,} more like it){where}{cut}"


@dataclass(frozen=True, slots=True)
class _Holder:
    """The job that has a name first, as far as it has to be told: there may be very many."""

    name: str
    entry: int
    spot: RowLocation | None


@dataclass(frozen=True, slots=True)
class Text:
    """A manifest with all that is needed to make and judge its jobs."""

    manifest: Manifest
    catalog: Catalog
    source: ManifestText = NO_SOURCE
    sources: Sources = NO_SOURCES
    inputs: InputFiles = NO_INPUTS


def review(manifest: Manifest, catalog: Catalog, source: ManifestText | None = None) -> Review:
    """Expand a manifest and check every job; `source` gives the places of the problems."""
    reviewer = Reviewer(Text(manifest, catalog, source or NO_SOURCE))
    for _ in reviewer.jobs():
        pass
    return reviewer.conclude()


class Reviewer:
    """One review under way: pass the jobs through `jobs`, and `conclude`.

    It ends early when there are `most_mistakes`; None is no limit.
    """

    def __init__(self, text: Text, most_mistakes: int | None = None) -> None:
        self._text = text
        self._most_mistakes = most_mistakes
        self._manifest = text.manifest
        self._catalog = text.catalog
        self._drafts = Drafts(text.manifest, text.catalog, text.sources, text.inputs)
        self._errors = _Remarks()
        self._notices = _Remarks()
        self._copies = EqualCopies()
        self._unknown_models: set[str] = set()
        self._slips: list[Slip] = []
        self._told: set[tuple[str, ...]] = set()
        """Models of which all was said that is not about values, with the names that were."""
        self._checkers: dict[str, Checker | None] = {}
        self._ids = Duplicates()
        self._stems = Duplicates()
        # A path that ends in the id is as unique as the id.
        self._stems_follow_ids = text.manifest.output.filename.rsplit("/", 1)[-1] == "{id}"
        self.job_count = 0

    def problems(self) -> tuple[Problem, ...]:
        """What forbids to run the manifest, as far as it is known by now."""
        return self._errors.problems(self._text.source)

    def jobs(self) -> Iterator[JobSpec]:
        """Every job that can be, made and checked as it is asked for."""
        ids = self._ids
        for item in self._drafts.quick():
            if isinstance(item, JobSpec):
                spec = item
            elif isinstance(item, Draft):
                self._check(item)
                spec = item.spec
            else:
                self._errors.add(item)
                if self._errors.total == self._most_mistakes:
                    return
                continue
            self.job_count += 1
            ids.add(spec.id)
            if not self._stems_follow_ids:
                self._stems.add(spec.stem)
            yield spec

    def conclude(self) -> Review:
        """What was found, names that occur twice and fields that nobody uses included."""
        self._check_names()
        if twice := self._copies.end():
            self._errors.add(twice)
        self._check_fields()
        source = self._text.source
        errors, notices = self._errors.problems(source), self._notices.problems(source)
        return Review(errors, notices, self.job_count, tuple(self._slips))

    def _check(self, draft: Draft) -> None:
        spec = draft.spec
        self._check_params(draft)
        if draft.recipe.needs_seeds and (twice := self._copies.add(draft.entry, spec)):
            self._errors.add(twice)
        if spec.price_usd is None and self._manifest.budget.max_spend is not None:
            self._check_price(draft)

    def _check_params(self, draft: Draft) -> None:
        slug = draft.spec.model
        if slug not in self._checkers:
            model = self._catalog.get(slug)
            self._checkers[slug] = None if model is None else Checker(model)
        checker = self._checkers[slug]
        if checker is None:
            self._unknown_model(draft)
            return
        self._check_model(draft)
        for finding in checker.check(draft.params):
            path = param_path(self._manifest, draft.entry, finding.param)
            is_key = finding.param not in checker.parameters
            spot = draft.spot if finding.param in draft.recipe.varying else None
            what, remedy = finding.what, finding.remedy
            cell = draft.recipe.cells.get(finding.param)
            if cell is not None and finding.param not in draft.params:
                what = f"{what}, and the field {cell} is empty"
                remedy = f"fill it in, or leave such rows out: where: {{{cell}: {{not: null}}}}"
            remark = Diagnostic(path, what, remedy, at_key=is_key, spot=spot)
            (self._errors if finding.severity is Severity.ERROR else self._notices).add(remark)

    def _check_model(self, draft: Draft) -> None:
        """What is to be said of a model once, whatever its jobs give it."""
        model = self._catalog.get(draft.spec.model)
        if model is None or not model.is_remarkable:
            return
        given = draft.params.keys() | draft.recipe.varying
        left = [p for p in model.parameters.values() if p.affects_price and p.name not in given]
        told = (model.slug, *(parameter.name for parameter in left))
        if told in self._told:
            return
        path = model_path(self._manifest, draft.entry)
        if model.is_deprecated and not any(model.slug == slug for slug, *_ in self._told):
            what = f"the service calls the model {model.slug} deprecated: it may be gone any day"
            self._notices.add(
                Diagnostic(path, what, "`batchgen models --search TEXT` finds others")
            )
        self._told.add(told)
        if left:
            names = ", ".join(f"{p.name}{_default_words(p)}" for p in left)
            verbs = "changes the price and is" if len(left) == 1 else "change the price and are"
            what = f"{model.slug}: {names} {verbs} left to the service's default"
            self._notices.add(Diagnostic(path, what, f"set {told[1]} in params to be sure of it"))

    def _check_price(self, draft: Draft) -> None:
        slug = draft.spec.model
        what = f"what a job of {slug} costs is not known: under max_spend it does not start"
        remedy = "add `price:` (USD a job), or remove max_spend"
        self._notices.add(Diagnostic(model_path(self._manifest, draft.entry), what, remedy))

    def _unknown_model(self, draft: Draft) -> None:
        slug = draft.spec.model
        if slug in self._unknown_models:
            return
        self._unknown_models.add(slug)
        path = model_path(self._manifest, draft.entry)
        if known := self._catalog.slip_of(slug):
            what = f"is the model {slug} meant to be {known}? Only {known} is in the catalogue"
            remedy = f"write {known}, or leave it: its jobs are submitted as they are"
            remark = Diagnostic(path, what, remedy)
            self._notices.add(remark)
            self._slips.append(Slip(slug, known, self._text.source.tell(remark)))
            return
        close = self._catalog.nearest(slug)
        advice = f"did you mean {close}? Otherwise " if close else ""
        what = f"the model {slug} is not in the catalogue: its params go out unchecked"
        remedy = f"{advice}nothing needs to be done; `price:` tells what a job of it costs"
        self._notices.add(Diagnostic(path, what, remedy))

    def _check_fields(self) -> None:
        for index in range(len(self._manifest.jobs)):
            for name in sorted(unused_fields(self._manifest, index)):
                what = f"no template names the field {name}: it only makes more equal jobs"
                remedy = f"put {{{name}}} into a parameter, or remove it"
                self._notices.add(
                    Diagnostic(("jobs", index, "matrix", name), what, remedy, at_key=True)
                )

    def _check_names(self) -> None:
        """Names that occur twice: the jobs are made again to tell whose they are."""
        ids, stems = self._ids.found(), self._stems.found()
        if not ids and not stems:
            return
        first_ids: dict[str, _Holder] = {}
        first_stems: dict[str, _Holder] = {}
        for item in self._drafts:
            if isinstance(item, Diagnostic):
                continue
            spec = item.spec
            if digest(spec.id) in ids and self._clashes(first_ids, item, spec.id, "id"):
                continue
            if digest(spec.stem) in stems:
                self._clashes(first_stems, item, spec.stem, "output path")

    def _clashes(self, first: dict[str, _Holder], draft: Draft, name: str, kind: str) -> bool:
        """Whether a name is taken by an earlier job; says so where it is."""
        key = collision_key(name)
        if key not in first:
            first[key] = _Holder(name, draft.entry, draft.spot)
            return False
        holder = first[key]
        taken = holder.name
        index = draft.entry
        path: KeyPath = ("jobs", index, "id") if self._manifest.jobs[index].id else ("jobs", index)
        whose = self._whose(holder)
        if taken == name:
            what = f"the {kind} {quoted(name)} is already taken by a job of {whose}"
        else:
            what = (
                f"the {kind} {quoted(name)} and {quoted(taken)} of {whose} differ only by case "
                "or Unicode form: one file on many disks"
            )
        self._errors.add(Diagnostic(path, what, _clash_remedy(kind), spot=draft.spot))
        return True

    def _whose(self, holder: _Holder) -> str:
        line = self._text.source.places.key(("jobs", holder.entry)).line
        place = f"line {line}" if line else ""
        if holder.spot is not None:
            place = f"{holder.spot.file}:{holder.spot.line}"
        return f"jobs[{holder.entry}]" + (f" ({place})" if place else "")


def _default_words(parameter: Parameter) -> str:
    return (
        f" (default {printable(scalar_text(parameter.default), 40)})"
        if parameter.has_default
        else ""
    )


def _clash_remedy(kind: str) -> str:
    if kind == "id":
        return "give it another id; with a matrix, put its fields into the id: cup-{style}-{seed}"
    return "put {id} into output.filename"
