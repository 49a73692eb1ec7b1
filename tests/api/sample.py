"""A script as a user would type it; `mypy --strict` must have nothing to say about it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import batchgen


def rows() -> Iterator[dict[str, object]]:
    for number in range(3):
        yield {"prompt": f"cup number {number}", "seed": number}


batch = batchgen.Batch(
    "cups",
    defaults={"model": "flux-kontext-pro", "params": {"output_format": "png"}},
    budget={"requests_per_minute": 50, "max_spend": 5.0},
)
batch.add(id="cat", params={"prompt": "a cat", "input_image": Path("cat.png")})
batch.add(id="cup-{style}", matrix={"style": ["ink", "oil"]}, params={"prompt": "a {style} cup"})
batch.add(rows=rows(), id="row-{row}", params={"prompt": "{prompt}", "seed": "{seed}"})


async def main() -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    async with batchgen.open(batch, simulate=True, max_spend=1.0) as run:
        async for result in run:
            if result.state is batchgen.JobState.DONE:
                found[result.id] = list(result.files)
    return found


def report() -> float:
    summary: batchgen.Summary = batchgen.run("jobs/demo.yaml", simulate=True, run_dir=Path("x"))
    for failure in summary.failures:
        names: tuple[str, str] = failure.id, failure.reason
        assert names
    return summary.spent_usd


def mistakes() -> None:
    batchgen.open(batch, max_spend="1")  # type: ignore[arg-type]
    batchgen.run(batch, concurency=3)  # type: ignore[call-arg]
    batch.add(modell="flux-pro")  # type: ignore[call-arg]
    batch.add(rows=["a cup"])  # type: ignore[list-item]
    for result in batchgen.results("runs/cups"):
        result.why  # type: ignore[attr-defined]  # noqa: B018


if __name__ == "__main__":
    asyncio.run(main())
