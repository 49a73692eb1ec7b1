"""A question before the first submit: models that are called nearly like known ones."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import TYPE_CHECKING

from batchgen.cli.show.question import agreed
from batchgen.errors import ManifestError
from batchgen.system.run_directory import RunDirectory

if TYPE_CHECKING:
    from batchgen.app.manifest_file import ManifestFile


def ask_about_slips(manifest: ManifestFile, directory: RunDirectory) -> None:
    """Ask whether the waiting jobs of each such model are to go out as they are.

    Without a terminal nobody is asked, and nobody is about a model that did a job before. Raises
    `ManifestError` for a no, or for no answer: nothing was submitted.
    """
    if not manifest.slips or not _is_terminal():
        return
    from batchgen.app.stopping import interruptible
    from batchgen.store.sqlite.status import StatusQueries

    with closing(StatusQueries(directory.state)) as reader:
        waiting = {left.model: left.queued_count + left.blocking_count for left in reader.left()}
        proved = {account.model for account in reader.accounts() if account.done_count}
    for slip in manifest.slips:
        count = waiting.get(slip.slug, 0)
        if not count or slip.slug in proved:
            continue
        jobs = "its job as it is" if count == 1 else f"its {count:,} jobs as they are"
        question = f"{slip.slug} is not in the catalogue; {slip.known} is. Submit {jobs}?"
        with interruptible():
            if not agreed(question):
                raise ManifestError([slip.problem])


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()
