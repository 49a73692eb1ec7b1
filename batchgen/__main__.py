"""`python -m batchgen`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    from batchgen.cli.main import run_cli  # noqa: PLC0415  the package stays light to import

    sys.exit(run_cli(sys.argv[1:]))


if __name__ == "__main__":
    main()
