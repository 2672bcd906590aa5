"""Runs one command to its end and says what it cost: wall time, processor time and peak memory of its whole process tree."""

import ctypes
import os
import resource
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

SAMPLE_EVERY_SECS = 0.02
PR_SET_CHILD_SUBREAPER = 36
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Failed(Exception):
    """The command ended with an error, or did not end in time; with the end of what it said."""


@dataclass(frozen=True)
class Cost:
    """Of one run: seconds from start to end, seconds of processor time, and bytes of memory at the peak."""

    wall_secs: float
    cpu_secs: float
    peak_bytes: int


def adopt_orphans() -> None:
    """Whoever outlives its parent becomes our child, so that it is counted and ended too (a JVM that a script started)."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def run(command: list[str], log: Path, env: dict[str, str], timeout_secs: float) -> Cost:
    """Runs `command`, whose output goes to `log`. Nothing else may be a child of this process meanwhile."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with log.open("wb") as output:
        started = time.monotonic()
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env)
        sampler = _Sampler()
        sampler.start()
        late = threading.Event()
        timer = threading.Timer(timeout_secs, lambda: (late.set(), child.kill()))
        timer.start()
        try:
            # Not `child.wait()`: this one says the peak of this child alone.
            _, status, usage = os.wait4(child.pid, 0)
        except BaseException:
            timer.cancel()
            sampler.stop()
            _end_those_left()
            raise
        wall = time.monotonic() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        timer.cancel()
        sampler.stop()
        _end_those_left()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if child.returncode != 0:
        ended = f"did not end in {timeout_secs:.0f} s" if late.is_set() else f"ended with exit code {child.returncode}"
        raise Failed(f"{' '.join(command)}\n  {ended}; the end of {log}:\n{_tail(log)}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall, cpu, max(sampler.peak_bytes, usage.ru_maxrss * 1024))


class _Sampler(threading.Thread):
    """Adds up the resident memory of the tree many times a second. Of one process the kernel knows the peak, and misses none."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak_bytes = 0
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            self.peak_bytes = max(self.peak_bytes, sum(map(_resident_bytes, _descendants())))
            self._over.wait(SAMPLE_EVERY_SECS)

    def stop(self) -> None:
        self._over.set()
        self.join()


def _descendants() -> list[int]:
    found, look_at = [], [os.getpid()]
    while look_at:
        pid = look_at.pop()
        try:
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/children") as children:
                    look_at.extend(map(int, children.read().split()))
        except OSError:
            continue  # it has ended
        found.append(pid)
    return found[1:]


def _resident_bytes(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm") as statm:
            return int(statm.read().split()[1]) * PAGE_BYTES
    except (OSError, IndexError):
        return 0


def _end_those_left() -> None:
    """Processes that the command left behind are ended and waited for, so that their time is counted."""
    for attempt in range(100):
        left = _descendants()
        for pid in left:
            try:
                os.kill(pid, signal.SIGTERM if attempt < 50 else signal.SIGKILL)
            except ProcessLookupError:
                pass
        try:
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        except ChildProcessError:
            return
        time.sleep(0.1)


def _tail(log: Path, lines: int = 20) -> str:
    return "\n".join("    " + line for line in log.read_text(errors="replace").splitlines()[-lines:])
