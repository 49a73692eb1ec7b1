"""SIGKILL: at random moments, and at the entry of system calls."""

from tests.torture.ground import QUICK, Outcome, ground, lived_for, missing, traced

JOBS = 100 if QUICK else 1_000
RANDOM_KILLS = 12 if QUICK else 140
SYSCALL_KILLS = 8 if QUICK else 80
CALLS = {
    # How often a short life makes the call, roughly: the bullet is meant for one of them.
    "pwrite64": 120,
    "fdatasync": 30,
    "fsync": 30,
    "write": 60,
    "link,linkat": 12,
    "unlink,unlinkat": 12,
    "sendto": 60,
    "recvfrom": 60,
    "openat": 600,
    "ftruncate": 4,
}


def at_random_moments():
    """A run that dies again and again, whenever."""
    with ground("kills") as here:
        batch, manifest = 0, here.manifest(JOBS, "batch-0")
        for _ in range(RANDOM_KILLS):
            with here.place.start("run", manifest) as running:
                here.outcome.count += running.killed_after(here.chance.uniform(0.5, 2.2))
            if running.process.returncode in {0, 1}:
                here.finish(manifest, f"batch-{batch}")
                batch += 1
                manifest = here.manifest(JOBS, f"batch-{batch}")
        here.finish(manifest, f"batch-{batch}")
        return here.outcome


def at_system_calls():
    """Death at the very entry of the calls that make things durable or tell the service."""
    if why := missing("strace"):
        return Outcome(skipped=why)
    with ground("syscalls") as here:
        batch, manifest = 0, here.manifest(JOBS // 2, "batch-0")
        killed = dict.fromkeys(CALLS, 0)
        for number in range(SYSCALL_KILLS):
            calls = list(CALLS)[number % len(CALLS)]
            when = here.chance.randint(1, CALLS[calls])
            filters = [
                 "-o", "/dev/null", "-e", f"trace={calls}",
                "-e", f"inject={calls}:signal=KILL:when={when}",
            ]  # fmt: skip
            with traced(here.place, filters, "run", manifest) as process:
                lived = lived_for(process, 6)
            here.outcome.count += 1
            killed[calls] += not lived and process.returncode not in {0, 1}
            if process.returncode in {0, 1}:
                here.finish(manifest, f"batch-{batch}")
                batch += 1
                manifest = here.manifest(JOBS // 2, f"batch-{batch}")
        here.finish(manifest, f"batch-{batch}")
        hit = ", ".join(f"{name.split(',')[0]} {count}" for name, count in killed.items())
        here.outcome.note = f"hit {hit}"
        return here.outcome
