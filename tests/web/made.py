"""Run directories made directly: a state file and its outputs, without a service."""

import hashlib
import io
import json
import random
from contextlib import closing
from dataclasses import dataclass, field

from PIL import Image, ImageDraw

from batchgen.store.sqlite.schema import connect
from batchgen.system.run_directory import RunDirectory

START_AT = 1_790_000_000.0
LATER_AT = START_AT + 86_400
MODELS = ("flux-pro", "flux-kontext-max", "seedream-3", "ideogram-3")
SETTINGS = {
    "name": "told",
    "budget": {"concurrency": 16, "requests_per_minute": 50, "max_spend": 20.0},
    "retry": {"max_attempts": 3},
}
SUBJECTS = ("a lighthouse at dawn", "two cups of tea", "a garden in the rain", "a fox in the snow",
            "night train to Lisbon", "paper boats at sea")  # fmt: skip
REASONS = (
    "422: the picture was blocked by the content filter (request {n})",
    "406: parameter steps must be between 1 and 50, not {n}",
    "422: inference failed after {n}.5 s",
)


def picture(number, size=(512, 384), kind="PNG"):
    """A picture that is different for every number."""
    dice = random.Random(number)
    colour = [dice.randrange(40, 220) for _ in range(3)]
    image = Image.new("RGB", size, tuple(colour))
    draw = ImageDraw.Draw(image)
    for _ in range(9):
        x, y = dice.randrange(size[0]), dice.randrange(size[1])
        r = dice.randrange(20, max(21, size[0] // 4))
        shade = tuple(min(255, max(0, c + dice.randrange(-60, 60))) for c in colour)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=shade)
    written = io.BytesIO()
    image.save(written, kind)
    return written.getvalue()


@dataclass
class File:
    name: str
    data: bytes
    media_type: str = "image/png"
    size: tuple = (0, 0)


@dataclass
class Made:
    """One job as it shall stand in the state."""

    id: str
    model: str = "flux-pro"
    state: str = "done"
    params: dict = field(default_factory=dict)
    reason: str = ""
    files: tuple = ()
    cost: float | None = 0.05
    total_s: float | None = 4.0
    polls: int = 2
    sent_at: float = START_AT
    seed: str | None = None

    @property
    def is_sent(self):
        return self.state != "pending"


class Run:
    """A run directory whose jobs are what a test says."""

    def __init__(self, path):
        self.directory = RunDirectory(path)
        self.directory.create()
        connect(self.directory.state, create=True).close()

    @property
    def path(self):
        return self.directory.path

    def note(self, name, value):
        with closing(self._connection()) as connection, connection:
            connection.execute(
                "INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, json.dumps(value))
            )

    def add(self, *jobs):
        """Write files, then jobs, in one transaction."""
        for job in jobs:
            for file in job.files:
                path = self.directory.outputs / file.name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(file.data)
        with closing(self._connection()) as connection, connection:
            connection.execute("BEGIN")
            for job in jobs:
                _insert(connection, job)
            connection.execute("COMMIT")

    def finish(self, id_, at, *files):
        """A job that was there lands, with its files."""
        for file in files:
            (self.directory.outputs / file.name).write_bytes(file.data)
        with closing(self._connection()) as connection, connection:
            connection.execute("BEGIN")
            key = connection.execute("SELECT key FROM jobs WHERE id = ?", (id_,)).fetchone()[0]
            _insert_files(connection, key, files, at)
            connection.execute(
                "UPDATE jobs SET state = 'done', cost_usd = 0.05, total_s = 3, changed_at = ? "
                "WHERE key = ?",
                (at, key),
            )
            connection.execute("COMMIT")

    def _connection(self):
        connection = connect(self.directory.state, create=False)
        connection.isolation_level = None
        return connection


def _insert(connection, job):
    cursor = connection.execute(
        "INSERT INTO jobs (id, model, api, body, stem, price_usd, fingerprint, state, attempt, "
        "billable, request_id, sent_at, polls, reason, cost_usd, queue_s, inference_s, total_s, "
        f"seed, changed_at) VALUES (?, ?, 'v2', ?, ?, 0.05{', ?' * 14})",
        (
            job.id, job.model, json.dumps(job.params), job.id, job.id, job.state,
            int(job.is_sent), int(job.is_sent), _request_id(job),
            job.sent_at if job.is_sent else 0.0, job.polls if job.is_sent else 0, job.reason,
            job.cost if job.state == "done" else None, 0.4, (job.total_s or 0.4) - 0.4,
            job.total_s if job.state == "done" else None, job.seed, _changed_at(job),
        ),
    )  # fmt: skip
    key = cursor.lastrowid
    if job.is_sent:
        ended_at = _changed_at(job) if job.state in ("done", "failed", "lost") else None
        connection.execute(
            "INSERT INTO attempts (job_key, number, state, intent_at, outcome_at, ended_at, "
            "request_id, reserved_usd, cost_usd) VALUES (?, 1, ?, ?, ?, ?, ?, 0.05, ?)",
            (
                key, "rejected" if job.state == "failed" else "acked", job.sent_at,
                job.sent_at + 0.3, ended_at, _request_id(job),
                job.cost if job.state == "done" else None,
            ),
        )  # fmt: skip
    _insert_files(connection, key, job.files, _changed_at(job))


def _insert_files(connection, key, files, at):
    connection.executemany(
        "INSERT INTO outputs (job_key, idx, name, media_type, size, sha256, width, height, "
        "saved_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                key, n, file.name, file.media_type, len(file.data),
                hashlib.sha256(file.data).hexdigest(), *file.size, at,
            )
            for n, file in enumerate(files)
        ],
    )  # fmt: skip


def _changed_at(job):
    return job.sent_at + (job.total_s or 1.0) if job.is_sent else 0.0


def _request_id(job):
    digest = hashlib.sha256(job.id.encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"


def night(count, *, size=(512, 384), kind="PNG", distinct=60):
    """Jobs as a night leaves them: most done, some failed, a few unknown, some still to come.

    Only so many pictures are `distinct`; drawing thousands would take minutes.
    """
    dice = random.Random(7)
    drawn = [picture(n, size, kind) for n in range(min(count, distinct))]
    end, extension = f"image/{kind.lower()}", {"PNG": "png", "JPEG": "jpg", "WEBP": "webp"}[kind]
    for n in range(count):
        model = MODELS[min(3, int(dice.expovariate(1.1)))]
        subject = SUBJECTS[n % len(SUBJECTS)]
        job = Made(
            f"{subject.split()[-1]}-{n:05}",
            model,
            params={"prompt": f"{subject}, take {n}", "seed": n, "aspect_ratio": "4:3"},
            sent_at=START_AT + n * 5.6 + dice.random() * 4,
            total_s=3 + MODELS.index(model) * 2 + dice.lognormvariate(0.6, 0.5),
            polls=min(9, 1 + int(dice.expovariate(0.9))),
            cost=0.04 + 0.02 * MODELS.index(model),
            seed=str(n),
        )
        chance = dice.random()
        if chance < 0.03:
            job.state, job.reason = "failed", dice.choice(REASONS).format(n=n)
        elif chance < 0.033:
            job.state, job.reason = "unknown", "nothing in the history tells what became of it"
        else:
            # Trailing bytes make each file another one, for its hash, and the same to look at.
            data = drawn[n % len(drawn)] + n.to_bytes(4)
            job.files = (File(f"{model}/{job.id}.{extension}", data, end, size),)
        yield job
