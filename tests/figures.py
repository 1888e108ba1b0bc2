"""How large a project is, for those who read it: `uv run python -m tests.figures`."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.figures import shorten
from benchmarks.generation import measure_copy
from benchmarks.report import show_table
from tests.conftest import copy_project, copy_template
from tests.test_rendering import read_files

LIMITS = {
    "files": 108,
    "lines": 9500,
    "lines of Python in fanout/": 4460,
    "lines in tests/": 700,
    "lines of README.md": 120,
    "modules in one folder": 14,
    "lines of a module": 250,
    "lines of a function": 40,
}
COPY_ROUNDS = 3


def measure(project: Path) -> dict[str, int]:
    """The figures that have a limit, of a project that nothing has been run in."""
    lines = count_lines(project)
    modules = Counter(Path(path).parent for path in lines if path.endswith(".py"))
    return {
        "files": len(lines),
        "lines": sum(lines.values()),
        "lines of Python in fanout/": sum(
            n for path, n in lines.items() if path.startswith("fanout/") and path.endswith(".py")
        ),
        "lines in tests/": sum(n for path, n in lines.items() if path.startswith("tests/")),
        "lines of README.md": lines["README.md"],
        "modules in one folder": max(modules.values()),
        "lines of a module": max(measure_modules(project).values()),
        "lines of a function": max(measure_functions(project).values()),
    }


def measure_modules(project: Path) -> dict[str, int]:
    """The lines of each module, by its path."""
    return {path: n for path, n in count_lines(project).items() if path.endswith(".py")}


def measure_functions(project: Path) -> dict[str, int]:
    """The lines of each function, by its module and name; those of one inside it count, too."""
    return {
        f"{path}: {name}": lines
        for path in measure_modules(project)
        for name, lines in _walk(ast.parse((project / path).read_text(encoding="utf-8")))
    }


def count_lines(project: Path) -> dict[str, int]:
    """The lines of each file, by its path."""
    return {path: len(text.splitlines()) for path, text in read_files(project).items()}


def find_offenders(found: dict[str, int], limit: int) -> dict[str, int]:
    """Those that have more lines than that, the longest first."""
    longest = sorted(found.items(), key=lambda item: -item[1])
    return {name: lines for name, lines in longest if lines > limit}


def _walk(tree: ast.AST, inside: str = "") -> Iterator[tuple[str, int]]:
    """Each function below the tree, with the names of what it is in."""
    for node in ast.iter_child_nodes(tree):
        name = inside
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{inside}.{node.name}".strip(".")
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield name, (node.end_lineno or node.lineno) - node.lineno + 1
        yield from _walk(node, name)


def main() -> None:
    """Print each figure of the default project beside its limit, and what is over it."""
    with TemporaryDirectory() as folder:
        project = copy_project(copy_template(Path(folder) / "template"), Path(folder) / "project")
        found = measure(project)
        modules = find_offenders(measure_modules(project), LIMITS["lines of a module"])
        functions = find_offenders(measure_functions(project), LIMITS["lines of a function"])
    ratio = measure_copy(COPY_ROUNDS)
    rows = [(name, str(now), str(LIMITS[name])) for name, now in found.items()]
    rows.append(("copier copy / a template of one file, time", shorten(ratio.median), ""))
    print(show_table(("", "now", "limit"), rows))
    for name, lines in {**modules, **functions}.items():
        print(f"too long: {name}, {lines} lines")


if __name__ == "__main__":
    main()
