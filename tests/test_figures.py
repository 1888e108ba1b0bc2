"""A project stays small enough to be read."""

from pathlib import Path

import pytest

from tests.conftest import Copy
from tests.figures import LIMITS, find_offenders, measure, measure_functions, measure_modules


@pytest.mark.parametrize("name", LIMITS)
def test_a_project_is_no_larger_than_this(copy: Copy, name: str) -> None:
    project = copy()
    everything = {
        "lines of a module": measure_modules,
        "lines of a function": measure_functions,
    }
    if name in everything:
        assert not find_offenders(everything[name](project), LIMITS[name])
    assert measure(project)[name] <= LIMITS[name]


def test_a_function_counts_with_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(
        "@decorate\n"
        "def outer():\n"
        "    class Inner:\n"
        "        async def method(self):\n"
        "            pass\n"
        "    return Inner\n",
        encoding="utf-8",
    )
    functions = measure_functions(tmp_path)
    assert functions == {"module.py: outer": 5, "module.py: outer.Inner.method": 2}
    assert find_offenders(functions, 4) == {"module.py: outer": 5}
