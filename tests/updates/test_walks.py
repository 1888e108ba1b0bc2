"""Random walks: edits, answers and versions in any order, and nothing is lost on the way."""

import shutil
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from tests.test_rendering import CIS, DEPLOYS, STYLES, read_answers
from tests.updates.conftest import (
    Make,
    assert_equal,
    copy_version,
    find_conflicts,
    update,
)
from tests.updates.test_edits import EDITS, assert_kept
from tests.updates.versions import commit

VERSIONS = ["v0.1.0", "v0.2.0", "v1.0.0"]
NAMES = ["promo, recco", "recco, promo, news", "tips", "a, b, c, d", "news, tips, recco, deals, x"]


def test_any_walk_ends_in_a_fresh_copy_with_the_edits(
    make: Make, repository: Path, scratch: Path
) -> None:
    class Walk(RuleBasedStateMachine):
        """A project that people edit and update, one version after another or several at once."""

        def __init__(self) -> None:
            super().__init__()
            self.project = make("walk")
            self.version = VERSIONS[0]
            self.edits: list[Callable[[Path], None]] = []

        @rule(edit=st.sampled_from(list(EDITS)))
        def edit(self, edit: Callable[[Path], None]) -> None:
            if edit not in self.edits:
                edit(self.project)
                commit(self.project, edit.__name__)
                self.edits.append(edit)

        @precondition(lambda self: self.version != VERSIONS[-1])
        @rule(data=st.data())
        def update_version(self, data: st.DataObject) -> None:
            later = VERSIONS[VERSIONS.index(self.version) + 1 :]
            self.version = data.draw(st.sampled_from(later))
            update(self.project, self.version)
            self.look()

        @rule(style=st.sampled_from(STYLES), title=st.sampled_from(["Shop", "«A» {{ b }}"]))
        def change_style(self, style: str, title: str) -> None:
            update(self.project, "same", style=style, project_name=title)
            self.look()

        @rule(deploy=st.sampled_from(DEPLOYS))
        def change_deploy(self, deploy: str) -> None:
            update(self.project, "same", deploy=deploy)
            self.look()

        @rule(ci=st.sampled_from(CIS))
        def change_ci(self, ci: str) -> None:
            update(self.project, "same", ci=ci)
            self.look()

        @rule(names=st.sampled_from(NAMES))
        def change_names(self, names: str) -> None:
            count = len(names.split(","))
            update(self.project, "same", service_names=names, service_count=count)
            self.look()

        @rule(count=st.integers(1, 32))
        def change_count(self, count: int) -> None:
            before = str(read_answers(self.project)["service_names"]).split(", ")
            update(self.project, "same", service_count=count)
            after = str(read_answers(self.project)["service_names"]).split(", ")
            assert len(after) == count
            assert before[:count] == after[: len(before)]
            self.look()

        def look(self) -> None:
            """Nothing conflicts, nothing is lost, and the rest is as the template has it."""
            assert find_conflicts(self.project) == []
            assert_kept(self.project, *self.edits)
            fresh = scratch / "walk-fresh"
            shutil.rmtree(fresh, ignore_errors=True)
            copy_version(repository, fresh, self.version, **read_answers(self.project))
            for edit in self.edits:
                edit(fresh)
            assert_equal(self.project, fresh)
            commit(self.project, "updated")

    run_state_machine_as_test(
        Walk,
        settings=settings(
            max_examples=7,
            stateful_step_count=6,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
