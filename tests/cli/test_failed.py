"""`status --failed --json` as a manifest: the jobs that failed, run anew."""

import json

from batchgen.core.common.json import canonical_json
from tests.cli.processes import IMAGE


def test_failed_jobs_are_edited_and_run_anew_from_what_status_prints(place, simulate):
    service = simulate(blocked_words=["forbidden"])
    there = place.at(service)
    jobs = {"good": {"prompt": "good"}, "bad": {"prompt": "a forbidden {{cup}}"}}
    manifest = there.manifest(jobs, "mixed")
    assert there.inside("run", manifest).code == 1
    report = there.inside("status", manifest, "--failed", "--json")
    (problem,) = report.json["problems"]
    assert (problem["id"], problem["params"]) == ("bad", {**IMAGE, "prompt": "a forbidden {cup}"})
    assert "moderation" in problem["reason"]

    again = there.write("again.json", report.out)
    assert there.inside("plan", again, "--json").json["jobs"] == 1
    there.write("again.json", report.out.replace("a forbidden {{", "an allowed {{"))
    assert there.inside("run", again).code == 0
    wanted = canonical_json({**problem["params"], "prompt": "an allowed {cup}"})
    assert [bill["body"] for bill in service.bills("allowed")] == [wanted]
    assert there.inside("status", again).out.startswith("runs/mixed-again: 1 of 1 jobs done")

    nothing = there.inside("status", "runs/mixed-again", "--failed", "--json")
    ended = there.inside("run", there.write("nothing.json", nothing.out))
    assert (ended.code, "no job failed in that run" in ended.err) == (2, True)


def test_mistakes_in_it_are_told_where_they_stand(place):
    entry = {"id": "a", "model": "flux-pro", "params": {"prompt": "a cup"}, "paramz": {}}
    manifest = {"version": 1, "name": "demo-again", "jobs": [entry]}
    text = json.dumps({"run": "runs/demo", "problems": [], "manifest": manifest}, indent=2)
    line = next(n for n, text in enumerate(text.splitlines(), 1) if "paramz" in text)
    ended = place.inside("plan", place.write("broken.json", text))
    assert ended.code == 2
    assert f"broken.json:{line}:" in ended.err
    assert "jobs[0].paramz" in ended.err
