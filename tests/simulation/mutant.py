"""What a deliberate bug is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Mutant:
    """One bug: the only place in the package where `old` stands becomes `new`.

    Which module that is, is found out: a mutant survives that its module is moved or renamed.
    `night` shows it: a seed, or a name of `tests.simulation.nights`. `tests` are asked where no
    night does.
    """

    name: str
    breaks: str
    old: str
    new: str
    night: str = ""
    tests: str = ""

    def apply_in(self, package: Path) -> None:
        """Put the bug into its module below `package`; raises as `applied_to` does."""
        path, mutated = self.applied_to(texts_of(package))
        path.write_text(mutated, "utf-8")

    def applied_to(self, texts: Mapping[Path, str]) -> tuple[Path, str]:
        """The module with the bug: which of them it is, and its text.

        Raises ValueError when its place is not there exactly once.
        """
        found = [path for path, text in texts.items() for _ in range(text.count(self.old))]
        if len(found) != 1:
            stands = ", ".join(path.as_posix() for path in found) or "nowhere"
            raise ValueError(f"{self.name}: its place stands {len(found)} times: {stands}")
        mutated = texts[found[0]].replace(self.old, self.new)
        compile(mutated, found[0], "exec")
        return found[0], mutated


def texts_of(package: Path) -> dict[Path, str]:
    """The modules below a folder."""
    return {path: path.read_text("utf-8") for path in sorted(package.rglob("*.py"))}
