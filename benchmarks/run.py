"""Measure a generated homepage beside its peers: `uv run benchmarks/run.py`.

It reports, and never fails by a time; it fails if somebody does not serve the same page.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import experiments, picture, report
from benchmarks.experiments import FULL, SHORT, tell
from benchmarks.generation import measure_generation
from benchmarks.install import CACHE, HERE, find_versions, install, need_wrk
from benchmarks.machine import PINNED, describe, pin

PARTS = ("throughput", "latency", "start", "crowd", "cpu", "memory", "hops", "generation")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="less of everything, for every day")
    parser.add_argument("--smoke", action="store_true", help="only see that all of this works")
    parser.add_argument("--services", type=int, default=8, help="how many of them; default: 8")
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=PARTS,
        default=PARTS,
        metavar="PART",
        help=f"of {', '.join(PARTS)}; default: all",
    )
    options = parser.parse_args()

    start = time.monotonic()
    tell("Installing what is missing")
    install()
    if not options.smoke:
        need_wrk()
    pin(0, site=False)
    if not PINNED:
        tell(
            "This system cannot give the site a core of its own: load and site disturb each other."
        )
    if options.smoke:
        experiments.check_pages(options.services)
        experiments.count_hops(options.services)
        measure_generation(rounds=0)
        return

    scale = SHORT if options.short else FULL
    results: dict[str, Any] = {
        "date": date.today().isoformat(),
        "mode": "short" if options.short else "full",
        "services": options.services,
        "machine": describe(),
        "versions": find_versions(),
    }
    measures: dict[str, tuple[Callable[[], Any], Callable[[Any], str]]] = {
        "throughput": (
            lambda: experiments.measure_throughput(options.services, scale),
            report.show_throughput,
        ),
        "latency": (lambda: experiments.measure_latency(scale), report.show_latency),
        "start": (lambda: experiments.measure_start(options.services, scale), report.show_start),
        "crowd": (lambda: experiments.measure_crowd(options.services, scale), report.show_crowd),
        "cpu": (lambda: experiments.measure_cpu(scale), report.show_cpu),
        "memory": (lambda: experiments.measure_memory(options.services, scale), report.show_memory),
        "hops": (lambda: experiments.count_hops(options.services), report.show_hops),
        "generation": (lambda: measure_generation(scale.rounds), report.show_generation),
    }
    results["fakes_per_second"] = experiments.measure_fakes(options.services, scale)
    tell(f"The fake services alone give {results['fakes_per_second']:,.0f} answers/s.")
    for part in options.parts:
        tell(f"\n{part}")
        measure, show = measures[part]
        results[part] = measure()
        tell(show(results[part]))
    results["targets"] = list(report.find_targets(results))
    tell("\n" + report.show_targets(results["targets"]))
    tell(
        "\n"
        + "\n".join(
            f"{key}: {value}"
            for key, value in {**results["machine"], **results["versions"]}.items()
        )
    )

    folder = HERE if not options.short and set(options.parts) == set(PARTS) else CACHE
    write(folder, results, options.services)
    tell(f"\n{time.monotonic() - start:.0f} s in all; results.json and results.svg are in {folder}")


def write(folder: Path, results: dict[str, Any], services: int) -> None:
    """Keep the results, and draw them."""
    text = json.dumps(report.to_json(results), indent=1, ensure_ascii=False)
    (folder / "results.json").write_text(text + "\n", encoding="utf-8")
    if "throughput" in results:
        drawn = picture.draw(results["throughput"], services, results["machine"])
        (folder / "results.svg").write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    main()
