"""A project's tests and commands keep to the project: nothing around it changes them, or is changed."""

import socket
from pathlib import Path

import pytest

from tests.conftest import Copy
from tests.environments import SCRIPTS, Environment
from tests.updates.versions import append, commit, git

HOOK = """#!/bin/sh
set -e
env | grep ^GIT_ > {log}
cd {project}
{python} manage.py check
{python} -m pytest -q -p no:cacheprovider
"""


def read_repository(worktree: Path) -> dict[str, str]:
    """What Git knows of a repository and of one of its worktrees, but for what a push itself notes."""
    common = Path(git(worktree, "rev-parse", "--path-format=absolute", "--git-common-dir").strip())
    refs = git(worktree, "for-each-ref").splitlines()
    return {
        "refs": "\n".join(ref for ref in refs if "refs/remotes/" not in ref),
        "heads": "".join(path.read_text("utf-8") for path in sorted(common.rglob("HEAD"))),
        "commits": git(worktree, "log", "--all", "--format=%H %s"),
        "index": git(worktree, "ls-files", "--stage"),
        "changes": git(worktree, "status", "--porcelain"),
        "config": (common / "config").read_text("utf-8"),
    }


def test_a_hook_of_a_worktree_leaves_the_repository_as_it_was(
    copy: Copy, newest: Environment, tmp_path: Path
) -> None:
    """Git tells its hooks by variables which repository they are of; whoever runs Git inherits them."""
    project, worktree, log = copy(), tmp_path / "worktree", tmp_path / "log"
    commit(project, "from the template")
    git(tmp_path, "init", "--quiet", "--bare", "origin")
    git(project, "remote", "add", "origin", str(tmp_path / "origin"))
    git(project, "worktree", "add", "--quiet", "-b", "work", str(worktree))
    hook = project / ".git/hooks/pre-push"
    python = newest.path / SCRIPTS / "python"
    append(hook, HOOK.format(log=log, project=worktree, python=python))
    hook.chmod(0o755)
    before = read_repository(worktree)
    git(worktree, "push", "--quiet", "origin", "work")
    assert "GIT_DIR=" in log.read_text("utf-8")
    assert read_repository(worktree) == before


@pytest.mark.parametrize("where", ["shell", ".env"])
def test_what_the_shell_says_is_not_for_the_tests(
    copy: Copy, newest: Environment, where: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # stands for what production uses
        server.setblocking(False)
        address = f"127.0.0.1:{server.getsockname()[1]}"
        variables = {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DJANGO_DEBUG": "false",
            "CACHE_URL": f"redis://{address}/0",
            "DATABASE_URL": f"postgres://joe:secret@{address}/shop",
            "PROMO_URL": f"http://{address}/",
            "FORWARDED_ALLOW_IPS": "10.0.0.1",
            "FANOUT_DEADLINE": "0.001",
            "FANOUT_TRANSPORT": "httptools",
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{address}",
            "WEB_CONCURRENCY": "auto",
            "http_proxy": f"http://{address}",
            "ALL_PROXY": f"socks5://{address}",
            "FORCE_COLOR": "1",
            "PYTEST_ADDOPTS": "--numprocesses=2 --randomly-seed=1",
        }
        project = copy()
        if where == ".env":
            append(project / ".env", "".join(f"{k}={v}\n" for k, v in variables.items()))
        given = variables if where == "shell" else {}
        printed = newest.run(project, "pytest", "-q", "-p", "no:cacheprovider", **given)
        assert " passed" in printed
        with pytest.raises(BlockingIOError):  # nobody has called
            server.accept()
