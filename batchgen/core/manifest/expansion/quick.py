"""The quick way from a row to its job, for rows about which there is nothing to say.

Nearly all rows of a large file are as the catalogue declares. For them one loop fills the templates
and tests the values. It knows little: whatever it is not sure of goes the careful way (`Recipe`,
`InputFinder`, `Checker`), which makes the same job, or says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable

from batchgen.core.catalog.checker import Checker
from batchgen.core.catalog.model import Catalog
from batchgen.core.common.json import canonical_json
from batchgen.core.jobs.placeholders import MARK
from batchgen.core.jobs.spec import JobSpec
from batchgen.core.manifest.expansion.input_files import PREFIX
from batchgen.core.manifest.expansion.job_template import Recipe
from batchgen.core.manifest.text.filenames import is_surely_safe, safe_text
from batchgen.core.manifest.text.templates import Fields, TemplateError

QuickWay = Callable[[Fields], JobSpec | None]
"""The job of some fields; None where it is for the careful way to say."""


def quick_way(recipe: Recipe, catalog: Catalog) -> QuickWay | None:
    """That of one entry without copies, None where all of its jobs need the careful way."""
    model = catalog.get(recipe.slug)
    # Of a model that is third hand a text may be the path of a file: that is looked at.
    if model is None or model.is_third_hand or recipe.filename is not None:
        return None
    if recipe.id is None or "model" in recipe.id.names:
        return None
    price_usd = model.price_usd if recipe.price_usd is None else recipe.price_usd
    checker = Checker(model)
    if price_usd is None or not checker.tests_suffice(recipe.params.keys()):
        return None
    parts = [(name, fill, checker.tests[name]) for name, fill in recipe.params.items()]
    id_text, slug, api = recipe.id.text, recipe.slug, recipe.api

    def make(fields: Fields) -> JobSpec | None:
        params = {}
        try:
            for name, fill, is_as_declared in parts:
                value = params[name] = fill(fields)
                if not is_as_declared(value):
                    return None
            job_id = id_text(fields, safe_text)
        except (KeyError, TemplateError):
            return None
        if not is_surely_safe(job_id):
            return None
        body = canonical_json(params)
        if MARK in body or PREFIX in body:
            return None
        return JobSpec(job_id, slug, body, job_id, api, price_usd, fields)

    return make
