"""The tools around a project and around the template: they run, agree with each other, and catch what they are for."""

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT, Copy, get_folder
from tests.environments import CANDIDATES, SCRIPTS, Environment, clean_environment
from tests.test_rendering import CIS, DEPLOYS, read_files
from tests.updates.versions import append, commit, git, replace

WORKFLOWS = ".github/workflows"
FILES = {
    "github": {f"{WORKFLOWS}/ci.yml", ".renovaterc.json"},
    "gitlab": {".gitlab-ci.yml", ".renovaterc.json"},
    "none": set[str](),
}
TRACES = {
    "github": rb"gitlab",
    "gitlab": rb"(?<!\.)github|image\.yml",
    "none": rb"\bci\b|gitlab|(?<!\.)github|renovate|image\.yml",
}


def run(*command: str, cwd: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run a command, also one that a package of the dev group brings; both outputs as one."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        command,
        cwd=cwd,
        env={**clean_environment(), "PATH": path, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        check=False,
    )


def use(environment: Path) -> dict[str, str]:
    """Let `uv run` use an environment as it is."""
    uv = str(Path(os.environ.get("UV", "")).parent)
    return {
        "PATH": f"{uv}{os.pathsep}{os.environ['PATH']}",
        "UV_PROJECT_ENVIRONMENT": str(environment),
        "UV_PYTHON": str(environment),
        "UV_NO_SYNC": "1",
    }


def read_yaml(path: Path) -> dict[str, Any]:
    """A file of YAML."""
    content: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    return content


# The answer


@pytest.mark.parametrize("ci", CIS)
def test_what_is_not_chosen_leaves_no_trace(copy: Copy, ci: str) -> None:
    files, others = read_files(copy(ci=ci)), read_files(copy("other", ci="none"))
    assert files.keys() - others.keys() == FILES[ci]
    for path, content in files.items():
        if path != ".copier-answers.yml" and path not in FILES[ci]:
            assert not re.search(TRACES[ci], content.lower()), path
    with_image = read_files(copy("image", ci=ci, deploy="container")).keys() - files.keys()
    assert (f"{WORKFLOWS}/image.yml" in with_image) == (ci == "github")


def test_other_answers_do_not_change_what_ci_does(copy: Copy) -> None:
    for ci in CIS:
        one = read_files(copy(f"{ci}-1", ci=ci))
        two = read_files(copy(f"{ci}-2", ci=ci, service_count=9, style="sync", project_name="X"))
        assert all(one[path] == two[path] for path in FILES[ci])


# The hooks


@pytest.fixture
def checked(copy: Copy) -> Path:
    """A project in Git."""
    project = copy()
    commit(project, "from the template")
    return project


@pytest.mark.parametrize(
    ("hook", "path", "text"),
    [
        ("ruff check", "homepage/views.py", "import os\n"),
        (
            "ruff check",
            "homepage/views.py",
            "import time\n\n\nasync def view() -> None:\n    time.sleep(1)\n",
        ),
        ("ruff format", "homepage/views.py", "x = {'a':1}\n"),
        ("mypy", "homepage/views.py", "def view(x):  # noqa: ANN001\n    return x\n"),
        ("djlint", "homepage/jinja2/about.html", '<img src="x.png">\n'),
        ("djlint", "homepage/templates/about.html", "{% if x %}<p>{% endif %}</b>\n"),
    ],
)
def test_a_hook_catches_what_it_is_for(
    checked: Path, newest: Environment, hook: str, path: str, text: str
) -> None:
    append(checked / path, text)
    git(checked, "add", "--all")
    prek = str(newest.path / SCRIPTS / "prek")
    done = run(prek, "run", cwd=checked, **use(newest.path))
    failed = re.findall(r"^(.*?)\.+Failed", done.stdout, re.MULTILINE)
    assert hook in failed, done.stdout
    assert done.returncode == 1


def test_the_hooks_are_content_with_an_untouched_project(
    checked: Path, newest: Environment
) -> None:
    prek = str(newest.path / SCRIPTS / "prek")
    done = run(prek, "run", "--all-files", cwd=checked, **use(newest.path))
    assert done.returncode == 0, done.stdout
    assert re.findall(r"^(.*?)\.+Passed", done.stdout, re.MULTILINE) == [
        *("ruff check", "ruff format", "mypy", "djlint")
    ]
    assert git(checked, "status", "--porcelain") == ""


def test_in_a_larger_repository_the_hooks_check_the_project_alone(
    copy: Copy, newest: Environment, tmp_path: Path
) -> None:
    top, project = tmp_path / "top", copy("top/shop")
    for path, text in {"beside.py": "import os\n", "beside.html": '<img src="x.png">\n'}.items():
        append(top / path, text)
    append(project / "homepage/views.py", "import os\n")
    commit(top, "with a project")
    prek = str(newest.path / SCRIPTS / "prek")
    # The second begins at the top, as pre-commit does.
    for folder, config in ((project, ()), (top, ("--config=shop/.pre-commit-config.yaml",))):
        done = run(prek, "run", "--all-files", *config, cwd=folder, **use(newest.path))
        assert re.findall(r"^(.*?)\.+Passed", done.stdout, re.MULTILINE) == [
            *("ruff format", "mypy", "djlint")
        ]
        assert git(top, "status", "--porcelain") == " M shop/homepage/views.py\n"
        git(top, "checkout", "--quiet", ".")


@pytest.mark.parametrize("folder", [".", "template"])
def test_the_hooks_are_content_with_the_template(
    tmp_path: Path, newest: Environment, folder: str
) -> None:
    """With its own tree, and with template/ as it stands there."""
    listed = ("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in git(ROOT / folder, *listed).split("\0"):
        if (ROOT / folder / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / folder / name, tmp_path / name)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--all")
    environment = Path(sys.prefix) if folder == "." else newest.path
    config = "--config=.pre-commit-config.yaml"  # this one only
    done = run("prek", "run", "--all-files", config, cwd=tmp_path, **use(environment))
    assert done.returncode == 0, done.stdout
    hooks = ["ruff check", "ruff format", "mypy", *(["djlint"] if folder != "." else [])]
    assert re.findall(r"^(.*?)\.+Passed", done.stdout, re.MULTILINE) == hooks


@pytest.mark.parametrize("module", ["tests.conftest", "benchmarks.install"])
def test_nothing_here_inherits_what_is_said_to_others(module: str) -> None:
    """Neither what is started, nor Copier, which keeps the environment that it finds."""
    others = {"GIT_DIR": "/x", "OTEL_SDK": "y", "PYTHONPATH": "/z", "WEB_CONCURRENCY": "auto"}
    show = (
        f"import {module}, os; from plumbum import local; from tests.environments import *;"
        "environments = os.environ, dict(local.env), clean_environment();"
        f"print([name for names in environments for name in names if name in {others!r}]);"
        "import signal; print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"
    )
    ignore = ("sh", "-c", "trap '' INT; exec \"$@\"", "sh")  # as a shell's jobs in the background
    done = run(*ignore, sys.executable, "-c", show, cwd=ROOT, **others)
    assert done.stdout == "[]\nFalse\n"


# What is run by machines


@pytest.fixture(params=itertools.product(["github", "gitlab"], DEPLOYS[:2]), ids="-".join)
def project(request: pytest.FixtureRequest, copy: Copy) -> Path:
    """A project with each kind of CI, with an image and without."""
    ci, deploy = request.param
    return copy(ci=ci, deploy=deploy)


def test_workflows_are_valid_and_safe(project: Path) -> None:
    for folder in (project, ROOT):
        workflows = [str(path) for path in (folder / WORKFLOWS).glob("*.yml")]
        if workflows:
            for command in (
                ("zizmor", "--offline", "--no-progress", *workflows),
                ("actionlint", *workflows),
                ("check-jsonschema", "--builtin-schema=vendor.github-workflows", *workflows),
                (
                    "check-jsonschema",
                    "--builtin-schema=custom.github-workflows-require-timeout",
                    *workflows,
                ),
            ):
                done = run(*command, cwd=folder)
                assert done.returncode == 0, done.stdout


def test_actions_are_the_same_everywhere_and_pinned(copy: Copy) -> None:
    texts = [
        path.read_text("utf-8")
        for folder in (copy(deploy="container"), ROOT)
        for path in (folder / WORKFLOWS).glob("*.yml")
    ]
    assert len(texts) == 3
    used = {line for text in texts for line in re.findall(r"uses: (.*)", text)}
    assert len(used) == 2
    for action in used:
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)


def test_other_configurations_are_as_their_schemas_want_them(project: Path) -> None:
    done = run(
        "check-jsonschema",
        "--builtin-schema=vendor.renovate",
        str(project / ".renovaterc.json"),
        str(ROOT / ".renovaterc.json"),
        cwd=project,
    )
    assert done.returncode == 0, done.stdout
    if (project / ".gitlab-ci.yml").exists():
        done = run(
            *("check-jsonschema", "--builtin-schema=vendor.gitlab-ci"),
            *("--data-transform=gitlab-ci", ".gitlab-ci.yml"),
            cwd=project,
        )
        assert done.returncode == 0, done.stdout


def test_renovate_finds_what_the_template_pins() -> None:
    config = json.loads((ROOT / ".renovaterc.json").read_text("utf-8"))
    names = git(ROOT, "ls-files", "-z", "template").split("\0")
    for manager, ends in (
        ("github-actions", ["ci.yml", "image.yml{% endif %}"]),
        ("gitlabci", [".gitlab-ci.yml{% endif %}.jinja"]),
        ("dockerfile", ["Dockerfile{% endif %}"]),
    ):
        [pattern] = config[manager]["managerFilePatterns"]
        found = [name for name in names if re.search(pattern.strip("/"), name)]
        assert len(found) == len(ends), manager
        assert all(any(name.endswith(end) for name in found) for end in ends)


Script = tuple[str, dict[str, str]]  # what a shell runs, with which variables


def read_github(project: Path) -> tuple[dict[str, list[Script]], set[tuple[str, str]]]:
    """What GitHub runs in each job, and the matrix of the tests."""
    workflow = read_yaml(project / WORKFLOWS / "ci.yml")
    jobs = workflow["jobs"]
    scripts = {
        name: [
            (step["run"], {**workflow["env"], **job.get("env", {}), **step.get("env", {})})
            for step in job["steps"]
            if "run" in step
        ]
        for name, job in jobs.items()
    }
    matrix = jobs["tests"]["strategy"]["matrix"]
    rows = set(itertools.product(matrix["python"], matrix["django"]))
    return scripts, rows | {(row["python"], row["django"]) for row in matrix["include"]}


def read_gitlab(project: Path) -> tuple[dict[str, list[Script]], set[tuple[str, str]]]:
    """The same of GitLab."""
    jobs = read_yaml(project / ".gitlab-ci.yml")
    scripts = {
        name: [
            (
                "\n".join(jobs[name]["script"]),
                {**jobs["variables"], **jobs[name].get("variables", {})},
            )
        ]
        for name in jobs
        if "script" in jobs[name]
    }
    rows: set[tuple[str, str]] = set()
    for row in jobs["tests"]["parallel"]["matrix"]:
        pythons, djangos = ([v] if isinstance(v, str) else v for v in row.values())
        rows |= set(itertools.product(pythons, djangos))
    return scripts, rows


def test_both_kinds_of_ci_do_the_same(copy: Copy, newest: Environment) -> None:
    project = copy("one", ci="github")
    github, pairs = read_github(project)
    gitlab, same_pairs = read_gitlab(copy("two", ci="gitlab"))
    assert pairs == same_pairs
    printed = newest.run(project, "python", "-c", "import django; print(*django.VERSION[:2])")
    major, minor = map(int, printed.split())
    older = [f"{n // 3}.{n % 3}" for n in range(3 * 5 + 2, 3 * major + minor)]  # since 5.2
    newer = [python for python in CANDIDATES if python != "3.11"]
    assert pairs == {("3.11", "5.2"), *itertools.product(newer, [*older, "locked"])}
    assert github.keys() == gitlab.keys()
    for job in github:
        one, two = (
            re.findall(r"\buv [^;\n]+", "\n".join(script for script, _ in scripts[job]))
            for scripts in (github, gitlab)
        )
        assert one == two
        assert one


@pytest.mark.parametrize(("ci", "read"), [("github", read_github), ("gitlab", read_gitlab)])
def test_all_that_an_image_installs_is_audited(
    copy: Copy, ci: str, read: Callable[[Path], tuple[dict[str, list[Script]], Any]]
) -> None:
    project = copy(ci=ci, deploy="container")
    installs = re.findall(r"uv sync (.*)", (project / "Dockerfile").read_text("utf-8"))
    assert len(installs) == 2
    [(audit, _)] = read(project)[0]["audit"]
    groups = {*re.findall(r"--group (\S+)", " ".join(installs))}
    assert {*re.findall(r"--group (\S+)", audit)} == {"audit", *groups} > {"audit"}
    assert "--no-dev" not in audit


def test_the_audit_runs_every_week(copy: Copy) -> None:
    workflow: dict[Any, Any] = read_yaml(copy("one", ci="github") / WORKFLOWS / "ci.yml")
    [schedule] = workflow[True]["schedule"]  # YAML 1.1 reads `on` as true
    assert re.fullmatch(r"\d+ \d+ \* \* \d", schedule["cron"])
    assert "github.event_name" in workflow["concurrency"]["group"]  # or it cancels a push's run
    pipeline = (copy("two", ci="gitlab") / ".gitlab-ci.yml").read_text("utf-8")
    assert "Pipeline schedules" in pipeline  # GitLab keeps them in its settings


@pytest.fixture(params=["github", "gitlab"])
def check(
    request: pytest.FixtureRequest, copy: Copy, newest: Environment, pytestconfig: pytest.Config
) -> tuple[Path, Callable[[], str]]:
    """A project with each kind of CI, and a way to do what its checks do: what goes wrong."""
    project = copy(ci=request.param, service_count=3)
    shutil.copy(get_folder(pytestconfig) / "project/uv.lock", project)
    scripts, _ = read_github(project) if request.param == "github" else read_gitlab(project)
    [packages] = newest.path.glob("**/site-packages/django/contrib/admin")

    def check() -> str:
        commit(project, "from the template")
        for script, variables in scripts["checks"]:
            if "UV_CACHE_DIR" in variables:  # what other jobs have put there
                shutil.copytree(packages, project / variables["UV_CACHE_DIR"] / "archive-v0/admin")
            given = {**variables, **use(newest.path)}
            done = run("bash", "-euo", "pipefail", "-c", script, cwd=project, **given)
            if done.returncode:
                return done.stdout
        return ""

    return project, check


def test_the_checks_of_ci_pass(check: tuple[Path, Callable[[], str]]) -> None:
    _, find_problems = check
    assert find_problems() == ""


def test_the_checks_of_ci_know_whether_the_template_knows_this_django(
    check: tuple[Path, Callable[[], str]],
) -> None:
    project, find_problems = check
    handler = project / "fanout/serving/handler.py"
    text, hashes = re.subn('"([0-9a-f]{12})"', r'"not \1"', handler.read_text("utf-8"))
    handler.write_text(text, "utf-8")
    assert hashes > 2
    assert "(fanout.W002) This Django has another" in find_problems()


# Releases


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A scratch repository that releases itself, with tests that take no time."""
    for name in ("release.py", "CHANGELOG.md", "pyproject.toml", "uv.lock"):
        (tmp_path / "clone").mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / "clone")
    append(tmp_path / "clone/.ci/run", "echo ran the tests\n")
    if "- " not in (ROOT / "CHANGELOG.md").read_text("utf-8").split("## ")[1]:
        replace(tmp_path / "clone/CHANGELOG.md", "## Unreleased\n", "## Unreleased\n\n- News.\n")
    commit(tmp_path / "clone", "begin")
    git(tmp_path / "clone", "config", "user.name", "Somebody")
    git(tmp_path / "clone", "config", "user.email", "somebody@example.test")
    return tmp_path / "clone"


def release(clone: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run the script of the clone."""
    return run(sys.executable, "release.py", *arguments, cwd=clone, **variables)


def test_a_release_is_tagged_and_kept(clone: Path, tmp_path: Path) -> None:
    before = git(clone, "rev-parse", "HEAD")
    dry = release(clone, "7.1.0", "--dry-run")
    assert (dry.returncode, "ran the tests" in dry.stdout) == (0, False)
    assert (git(clone, "rev-parse", "HEAD"), git(clone, "tag")) == (before, "")
    assert git(clone, "status", "--porcelain") == ""
    done = release(clone, "7.1.0")
    assert done.returncode == 0, done.stdout
    assert "ran the tests" in done.stdout
    assert git(clone, "status", "--porcelain") == ""
    assert git(clone, "cat-file", "-t", "v7.1.0").strip() == "tag"
    git(
        tmp_path, "clone", "-q", "-b", "v7.1.0", str(clone / "tests/releases/v7.1.0.bundle"), "kept"
    )
    kept = tmp_path / "kept"
    for name in ("pyproject.toml", "uv.lock"):
        own = re.findall(
            r'"copier-django-fanout"\nversion = "(.*)"', (kept / name).read_text("utf-8")
        )
        assert own == ["7.1.0"]
    changelog = (kept / "CHANGELOG.md").read_text("utf-8")
    unreleased, newest = re.findall(r"^## (.*)", changelog, re.MULTILINE)[:2]
    assert unreleased == "Unreleased"
    assert re.fullmatch(r"7\.1\.0 - \d{4}-\d\d-\d\d", newest)
    again = release(clone, "7.2.0")
    assert 'nothing under "## Unreleased"' in again.stdout


def test_a_release_is_of_this_repository_whatever_git_tells_a_hook(
    clone: Path, tmp_path: Path
) -> None:
    append(tmp_path / "other/file", "another repository\n")
    commit(tmp_path / "other", "begin")
    before = git(tmp_path / "other", "log", "--all")
    variables = {"GIT_DIR": str(tmp_path / "other/.git"), "GIT_INDEX_FILE": str(tmp_path / "index")}
    done = release(clone, "7.1.0", **variables)
    assert done.returncode == 0, done.stdout
    assert git(clone, "tag") == "v7.1.0\n"
    assert git(tmp_path / "other", "log", "--all") == before


@pytest.mark.parametrize(
    ("version", "spoil", "reason"),
    [
        ("1.2", "true", "1.2 is not a version"),
        ("1.2.0", "git switch -qc other", "not the branch main"),
        ("1.2.0", "echo x >> CHANGELOG.md", "something that is not committed"),
        ("1.2.0", "git tag v1.2.0", "v1.2.0 is there already"),
        ("1.2.0", "git tag v1.10.0", "v1.10.0 is there already"),
        ("1.2.0", "echo exit 1 >> .ci/run; git commit -qam fail", ".ci/run has failed"),
        ("1.2.0", "echo 'echo > x' >> .ci/run; git commit -qam leave", "not committed"),
        (
            "1.2.0",
            "echo 'git commit -q --allow-empty -m slip' >> .ci/run; git commit -qam add",
            "a commit that was not tested",
        ),
        (
            "1.2.0",
            "ln -s $(type -P false) .git/hooks/pre-commit",
            "git commit",
        ),
    ],
)
def test_a_tree_that_is_not_ready_is_not_released(
    clone: Path, version: str, spoil: str, reason: str
) -> None:
    assert run("bash", "-c", spoil, cwd=clone).returncode == 0
    before = git(clone, "tag")
    done = release(clone, version)
    assert done.returncode == 1
    assert re.search(f"^Not released: .*{re.escape(reason)}", done.stdout, re.MULTILINE)
    assert "Traceback" not in done.stdout
    assert git(clone, "tag") == before
    assert "Release" not in git(clone, "log", "--format=%s")
