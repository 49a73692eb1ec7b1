"""What a deliberate bug is."""

from __future__ import annotations

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

    def apply_in(self, package: Path) -> Path:
        """Put the bug into its module below `package`, and say which one that is.

        Raises ValueError when its place is not there exactly once.
        """
        texts = {path: path.read_text("utf-8") for path in sorted(package.rglob("*.py"))}
        found = [path for path, text in texts.items() for _ in range(text.count(self.old))]
        if len(found) != 1:
            stands = ", ".join(path.relative_to(package).as_posix() for path in found) or "nowhere"
            raise ValueError(f"{self.name}: its place stands {len(found)} times: {stands}")
        mutated = texts[found[0]].replace(self.old, self.new)
        compile(mutated, found[0], "exec")
        found[0].write_text(mutated, "utf-8")
        return found[0]
