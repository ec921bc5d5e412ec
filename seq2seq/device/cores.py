"""The processor's cores: how many this process may use, and how many others are using.

Threads that compute together wait for the slowest of them; one whose core another process has taken
holds up all.
"""

import logging
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from seq2seq.errors import require

TAKEN = 0.5
"""Cores that others use, from which on a log line tells of them."""
LEAST_SECONDS = 0.2
"""What is counted is counted in hundredths of a second: less time tells nothing."""
MOST_THREADS = 64
"""Threads that any machine takes; one with more than 8 cores takes 8 for each."""
log = logging.getLogger("seq2seq")


def use_threads(count: int, key: str) -> int:
    """Sets the number of CPU threads for the whole process, and returns it.

    0 is torch's choice, but no more than the cores that this process may use. ``key`` is what
    messages call the setting.

    Raises:
        ConfigError: There are so many that starting them would bring the machine to its knees.
    """
    most = max(MOST_THREADS, 8 * (os.cpu_count() or 1))
    require(0 <= count <= most, key, f"0 (as many as there are cores) to {most}", count)
    threads = torch.get_num_threads()
    if count or usable_cores() < threads:
        threads = count or usable_cores()
        torch.set_num_threads(threads)
    return threads


@dataclass(frozen=True)
class Moment:
    """What has been counted up to some moment, in seconds."""

    clock: float
    busy: float
    """Time that the cores of this process were at work, for whomever, added up."""
    own: float
    """Time that this process has computed, added up over its threads."""


def usable_cores(root: Path = Path("/")) -> int:
    """Returns how many cores this process may use.

    Both its affinity and the quota of its control group (containers have one) may allow less than
    the machine has.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        quota, period = (root / "sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(count, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):  # no such control groups; or "max", which is no quota
        return count


def now(root: Path = Path("/")) -> Moment | None:
    """Returns what is counted up to now; None where the system does not tell."""
    try:
        lines = (root / "proc/stat").read_text().splitlines()
        ours = {f"cpu{number}" for number in os.sched_getaffinity(0)}
        per_second = os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError):
        return None
    busy = 0
    for line in lines:
        name, *counts = line.split()
        if name in ours:
            user, nice, system, _idle, _waiting, irq, softirq = map(int, counts[:7])
            busy += user + nice + system + irq + softirq
    return Moment(time.monotonic(), busy / per_second, time.process_time())


def taken(before: Moment, after: Moment) -> float:
    """Returns how many cores others used between two moments, on average."""
    others = (after.busy - before.busy) - (after.own - before.own)
    return max(0.0, others / (after.clock - before.clock))


class Watch:
    """Tells once that others have taken cores on which threads of this process compute."""

    def __init__(self) -> None:
        self.told = False
        self._before = now()

    def look(self, threads: int) -> None:
        """Looks at the time since the last look; ``threads`` are those of this process."""
        after = now()
        if self.told or threads == 1 or self._before is None or after is None:
            return
        if after.clock - self._before.clock < LEAST_SECONDS:
            return
        others, self._before = taken(self._before, after), after
        cores = usable_cores()
        if others >= TAKEN and threads + others > cores:
            self.told = True
            log.warning(
                "other processes use %.1f of %d cores, and %d threads wait for each other there; "
                "while that lasts, train.threads: %d is about as fast and leaves them room",
                *(others, cores, threads, max(1, math.floor(cores - others))),
            )
