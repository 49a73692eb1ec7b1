"""Files that were uploaded: kept in memory, served by the CDN for as long as the service lives."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from typing import Any

from batchgen.core.media.formats import BY_MIME
from batchgen.providers.segmind.simulator.answers import error_reply
from batchgen.providers.segmind.simulator.config import SimulatorConfig
from batchgen.providers.segmind.simulator.messages import ApiRefusal, MediaRef

_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,(.*)", re.DOTALL)


class Uploads:
    """Uploaded files by their path. Equal bytes get one address."""

    def __init__(self) -> None:
        self._files: dict[str, MediaRef] = {}
        self._stored_bytes = 0

    def add(self, params: Mapping[str, Any], config: SimulatorConfig) -> list[str]:
        """Store every one of `data_urls`; returns their paths. Refuses (400) anything else, and
        what there is no room for."""
        data_urls = params.get("data_urls")
        if not isinstance(data_urls, list) or not data_urls:
            raise ApiRefusal(error_reply(400, "data_urls must be a list of data: URLs"))
        files = [_read(data_url) for data_url in data_urls]
        if config.storage_bytes is not None:
            new = {path: len(file.data or b"") for path, file in files if path not in self._files}
            if self._stored_bytes + sum(new.values()) > config.storage_bytes:
                raise ApiRefusal(error_reply(config.storage_status, config.storage_message))
            self._stored_bytes += sum(new.values())
        self._files.update(files)
        return [path for path, _ in files]

    def find(self, path: str) -> MediaRef | None:
        """The file at a path."""
        return self._files.get(path)


def _read(data_url: Any) -> tuple[str, MediaRef]:
    """Where a file will stand, and the file."""
    match = _DATA_URL.fullmatch(data_url) if isinstance(data_url, str) else None
    if match is None:
        raise ApiRefusal(error_reply(400, "data_urls must hold data:<type>;base64,<data>"))
    try:
        data = base64.b64decode(match[2], validate=True)
    except (binascii.Error, ValueError) as error:
        raise ApiRefusal(error_reply(400, f"data_urls: broken base64: {error}")) from error
    name = hashlib.sha256(data).hexdigest()[:32]
    known = BY_MIME.get(match[1].lower())
    extension = known.extension if known else "bin"
    file = MediaRef(
        request_id=name,
        index=0,
        model="",
        params={},
        seed=0,
        format=extension,
        width=0,
        height=0,
        data=data,
    )
    return f"/assets/{name}.{extension}", file
