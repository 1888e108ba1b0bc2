"""The machine: which core is for whom, and what it is."""

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import psutil

_cores = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []
PINNED = len(_cores) > 1  # the site gets the first core for itself, everything else the others


def pin(pid: int, *, site: bool) -> None:
    """Keep a process on the core of the site, or off it. Its children stay there too."""
    if PINNED and sys.platform == "linux":
        os.sched_setaffinity(pid, _cores[:1] if site else _cores[1:])


def describe() -> dict[str, str | int | bool]:
    """What one has to know to read the figures."""
    return {
        "cpu": _find_cpu(),
        "cores": psutil.cpu_count() or 0,
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {_shorten(platform.release())}",
        "site_on_a_core_of_its_own": PINNED,
    }


def _shorten(release: str) -> str:
    """The version of a kernel, without what somebody who builds one adds."""
    found = re.match(r"[\d.]*\d", release)
    return found[0] if found else release


def _find_cpu() -> str:
    file = Path("/proc/cpuinfo")
    if file.exists():
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    if sys.platform == "darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()
    return platform.processor() or platform.machine()
