"""Bugs about input files and their uploads."""

from __future__ import annotations

from tests.simulation.mutant import Mutant

MUTANTS = (
    Mutant(
        "placeholder-is-sent",
        "a job is submitted although a file that it names is not at the service",
        "    return MARK not in body\n",
        "    return bool(body)\n",
        night="uploads_killed_at_every_step",
    ),
    Mutant(
        "submitted-before-the-address-is-recorded",
        "a job names an address that a death may still undo",
        """        while True:
            changes = self._changes(events)
""",
        """        self.scheduler.uploads_done(uploaded)
        uploaded = ()
        while True:
            changes = self._changes(events)
""",
        night="uploads_killed_at_every_step",
    ),
    Mutant(
        "uploaded-again-after-a-restart",
        "what stands at the service is uploaded once more by every process",
        "        return [placed_job(self.connection, job_of(row)) for row in rows]\n",
        "        return [job_of(row) for row in rows]\n",
        night="uploads_killed_at_every_step",
    ),
    Mutant(
        "another-body-after-a-restart",
        "what was sent before a death is looked for with placeholders in it",
        "        return [placed_job(self.connection, job) for job in jobs]\n",
        "        return jobs\n",
        night="uploads_killed_at_every_step",
    ),
    Mutant(
        "every-job-uploads-for-itself",
        "a content that many jobs name is uploaded for each of them",
        "        if content in self.scheduler.uploads.under_way or content in self.uploads:\n",
        "        if False:\n",
        night="uploads_killed_at_every_step",
    ),
    Mutant(
        "cut-off-upload-keeps-its-place",
        "an upload that was cut off is waited for, for ever",
        "    scheduler.uploads.release(content)\n",
        "    if outcome.response is not None:\n        scheduler.uploads.release(content)\n",
        night="uploads_stopped_at_every_step",
    ),
    Mutant(
        "dead-uploads-keep-the-run",
        "where files cannot be uploaded, the run waits for ever",
        "    if no_uploads is not None and _next_pending(scheduler, now) is None:\n",
        "    if False:\n",
        night="uploads_are_dead",
    ),
    Mutant(
        "refused-file-is-tried-for-ever",
        "a file that the service refuses is uploaded again and again",
        "        if treatment is Treatment.FINAL:\n            return response.reason\n",
        "",
        tests="tests/core/scheduling/test_uploads.py",
    ),
    Mutant(
        "any-address-is-believed",
        "whatever an answer calls an address goes into bodies",
        '    return url if fit else ""\n',
        "    return url\n",
        tests="tests/core/scheduling/test_uploads.py",
    ),
    Mutant(
        "changed-file-is-uploaded",
        "a file that was written over since is sent under the old one's name",
        "        if len(data) != file.size or hashlib.sha256(data).hexdigest() != file.sha256:\n",
        "        if len(data) != file.size:\n",
        tests="tests/sources/test_inputs.py",
    ),
)
