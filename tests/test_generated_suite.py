"""Generated projects pass their own tests, with full coverage, and strict types."""

import re

import pytest

from tests.conftest import Copy
from tests.environments import Environment
from tests.test_rendering import PROJECT_NAMES, awkward_names

# Every style, on both Pythons, with few services and many: a project has the views of all styles,
# whichever it chose. Those that go back, below, have the default two on both.
ROWS = [
    ("sync", 1, "oldest"),
    ("naive", 32, "newest"),
    ("gather", 3, "newest"),
    ("stream", 8, "oldest"),
]


def test_both_ends_are_there(copy: Copy, environment: Environment) -> None:
    versions = environment.run(
        copy(),
        "python",
        "-c",
        "import django, sys; print(*sys.version_info[:2], *django.VERSION[:2])",
    )
    python, django = (
        tuple(map(int, pair)) for pair in (versions.split()[:2], versions.split()[2:])
    )
    if environment.path.name == "oldest":
        assert django == (5, 2)
    else:
        assert django >= ((6, 1) if python >= (3, 12) else (5, 2))


@pytest.mark.parametrize(("style", "count", "environment"), ROWS, indirect=["environment"])
def test_a_project_passes_its_own_tests(
    copy: Copy, environment: Environment, style: str, count: int
) -> None:
    project = copy(
        project_name=PROJECT_NAMES[count % len(PROJECT_NAMES)],
        service_count=count,
        service_names=awkward_names(count),
        style=style,
    )
    printed = environment.run(project, "pytest", "-p", "no:cacheprovider", "--cov")
    assert not re.search(r"\d skipped", printed), printed
    environment.run(project, "python", "manage.py", "makemigrations", "--check")
    environment.run(project, "mypy", "--cache-dir", str(environment.path / ".mypy_cache"))


def test_a_project_can_go_back_to_djangos_own_middleware_and_entry(
    copy: Copy, environment: Environment
) -> None:
    project = copy()
    with (project / "config/settings.py").open("a", encoding="utf-8") as settings:
        settings.write(
            "\nMIDDLEWARE = [\n"
            '    "django.middleware.security.SecurityMiddleware",\n'
            '    "django.contrib.sessions.middleware.SessionMiddleware",\n'
            '    "django.middleware.common.CommonMiddleware",\n'
            '    "django.middleware.csrf.CsrfViewMiddleware",\n'
            '    "django.contrib.auth.middleware.AuthenticationMiddleware",\n'
            '    "django.contrib.messages.middleware.MessageMiddleware",\n'
            '    "django.middleware.clickjacking.XFrameOptionsMiddleware",\n'
            "]\n"
        )
    entry = project / "config/asgi.py"
    ours = entry.read_text(encoding="utf-8")
    assert ours.count("from fanout.asgi import get_asgi_application") == 1
    entry.write_text(ours.replace("from fanout.asgi", "from django.core.asgi"), encoding="utf-8")
    printed = environment.run(project, "pytest", "-p", "no:cacheprovider")
    assert re.search(r" passed, 6 skipped in", printed), printed
