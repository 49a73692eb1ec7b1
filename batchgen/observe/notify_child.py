"""The process that sends a message: `python -m batchgen.observe.notify_child`, fed by its stdin.

A process of its own, so that a server that hangs, a library that logs, and the addresses, which
are secrets, all stay outside of the run.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from typing import Any


def main() -> int:
    """Read `{"env": [names], "title": …, "body": …, "kind": …}`; answer with the names that failed.

    Without a title the addresses are only looked at.
    """
    order: dict[str, Any] = json.load(sys.stdin)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    failed = [name for name in order["env"] if not _notify(name, order)]
    sys.stdout.write(json.dumps(failed))
    return 0


def _notify(name: str, order: dict[str, Any]) -> bool:
    import apprise  # noqa: PLC0415  an extra, and slow

    sender = apprise.Apprise()
    understood = bool(sender.add(dict(os.environ).get(name, ""))) and len(sender) > 0
    if "title" not in order or not understood:
        return understood
    kinds = {"finished": "success", "budget": "info"}
    return bool(
        sender.notify(
            title=order["title"],
            body=order["body"],
            notify_type=kinds.get(order["kind"], "warning"),
            body_format=apprise.NotifyFormat.TEXT,
        )
    )


if __name__ == "__main__":
    sys.exit(main())
