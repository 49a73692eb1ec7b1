"""The service's own list of models, read into the user's folder."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from batchgen.app.service import base_url_of_environment
from batchgen.errors import UserError
from batchgen.providers.segmind.catalog.fetched import fetch
from batchgen.providers.segmind.catalog.written import UpdateCounts, write_models
from batchgen.system.clock import SystemClock
from batchgen.system.user_folder import MODELS_VARIABLE, models_folder
from batchgen.system.version import installed_version


@dataclass(frozen=True, slots=True)
class Update:
    """What an update came to: nothing was `learned` where no source could be read. `faults` tell,
    a sentence each, which could not be."""

    folder: Path
    learned: UpdateCounts | None
    faults: tuple[str, ...]


async def update_models() -> Update:
    """Read what can be read, and write it. No key is needed.

    Raises `UserError` for an environment in which nothing can be asked, and for a folder that
    cannot be written.
    """
    published = await fetch(base_url_of_environment(), f"batchgen/{installed_version()}")
    folder = models_folder()
    if not published.listings:
        return Update(folder, None, published.faults)
    today = datetime.fromtimestamp(SystemClock().now(), UTC).date().isoformat()
    try:
        learned = write_models(folder, published.listings, today)
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written: {error.strerror or error}\n    mend that, or name "
            f"another folder in {MODELS_VARIABLE}"
        ) from error
    return Update(folder, learned, published.faults)
