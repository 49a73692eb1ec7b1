"""`python -m tests.torture [SCENE ...]`: hours of bad luck in some minutes; QUICK=1 for one."""

import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

from tests.torture import away, disks, kills, power, signals
from tests.torture.ground import Outcome, elapsed

SCENES = {
    "kill at random moments": kills.at_random_moments,
    "kill at system calls": kills.at_system_calls,
    "power cut": power.cuts,
    "disk full at the answer": disks.full_at_the_acknowledgement,
    "disk without inodes": disks.without_inodes,
    "disk broken": disks.broken,
    "the CDN is away": away.whole,
    "one of two hosts is away": away.one_host,
    "a backup put back": away.restored,
    "one to three signals": signals.in_threes,
    "ignored signals": signals.ignored,
    "closed and full streams": signals.streams,
    "stopped and continued": signals.asleep,
    "several starts at once": signals.crowds,
    "a child outlives the lock": signals.orphans,
    "wall clock steps": signals.wrong_clocks,
}
SIDE_BY_SIDE = 3
SHOWN = 8


def show(text):
    """A line at once, also through a pipe."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def play(name):
    """One scene; whatever breaks inside is a violation, told with its place."""
    started = time.monotonic()
    try:
        outcome = SCENES[name]()
    except Exception:  # noqa: BLE001  the table must come, with this in it
        outcome = Outcome(violations=[traceback.format_exc()])
    show(f"  {name}: done after {elapsed(started):.0f} s")
    return outcome


def main(wanted):
    names = [name for name in SCENES if not wanted or any(word in name for word in wanted)]
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        outcomes = dict(zip(names, pool.map(play, names), strict=True))
    width = max(map(len, names))
    show(f"\n{'what':{width}}  times  violations  files  unknown  doubled")
    for name, outcome in outcomes.items():
        state = f"skipped: {outcome.skipped}" if outcome.skipped else outcome.note
        figures = f"{outcome.done:5}  {outcome.unknown:7}  {outcome.doubled:7}"
        show(f"{name:{width}}  {outcome.count:5}  {len(outcome.violations):10}  {figures}  {state}")
    for name, outcome in outcomes.items():
        for text in outcome.violations[:SHOWN]:
            show(f"\n{name}: {text}")
    return 1 if any(outcome.violations for outcome in outcomes.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
