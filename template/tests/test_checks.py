"""The system checks name what is wrong."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from fanout.checks import (
    check_options,
    check_production,
    check_update,
    check_urls,
    refuse_unready,
)


def test_production_names_everything_that_is_missing(settings: Settings) -> None:
    settings.DEBUG = False
    settings.SECRET_KEY = ""
    settings.ALLOWED_HOSTS = []
    settings.FANOUT_SERVICES = {"alpha": {"url": ""}, "beta": {"url": "http://beta.test/"}}
    [error] = check_production()
    assert error.id == "fanout.E001"
    assert error.msg == (
        "Not set, but needed in production: DJANGO_SECRET_KEY, DJANGO_ALLOWED_HOSTS, ALPHA_URL."
    )


def test_production_with_everything_set_is_fine(settings: Settings) -> None:
    settings.DEBUG = False
    settings.SECRET_KEY = "x" * 50
    settings.ALLOWED_HOSTS = ["shop.test"]
    assert check_production() == []


def test_development_needs_nothing(settings: Settings) -> None:
    settings.DEBUG = True
    settings.ALLOWED_HOSTS = []
    assert check_production() == []


@pytest.mark.parametrize(
    "url", ["ftp://alpha.test/", "alpha.test", "http://", "http://[", "http://a\n", "/alpha/"]
)
def test_a_url_that_cannot_be_called_is_an_error(settings: Settings, url: str) -> None:
    settings.FANOUT_SERVICES = {"alpha": {"url": url}, "beta": {"url": ""}}
    [error] = check_urls()
    assert error.id == "fanout.E002"
    assert error.msg == f"ALPHA_URL is not an http(s) address: {url!r}."


def test_options_for_a_service_that_is_gone_are_a_warning(settings: Settings) -> None:
    settings.FANOUT_SERVICES = {"alpha": {}, "beta": {}}
    settings.FANOUT = {"alpha": {"timeout": 0.5}, "gamma": {"timeout": 0.5}}
    [warning] = check_options()
    assert warning.id == "fanout.W001"
    assert warning.msg == "FANOUT has options for 'gamma', which is not a service."


@pytest.fixture
def git(settings: Settings, tmp_path: Path) -> Callable[..., None]:
    """Run git in an empty repository, which the checks take for the project."""
    if not shutil.which("git"):
        pytest.skip("Git is not installed.")
    settings.DEBUG = True
    settings.BASE_DIR = tmp_path

    def git(*command: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.test"]
        subprocess.run(["git", *identity, *command], cwd=tmp_path, check=False)  # noqa: S603, S607

    git("init", "--quiet", "--initial-branch=main")
    return git


def test_conflict_markers_are_an_error_until_they_are_gone(
    git: Callable[..., None], tmp_path: Path
) -> None:
    page = tmp_path / "a page.html"
    page.write_text("<<<<<<< before updating\nmine\n=======\ntheirs\n>>>>>>> after updating\n")
    (tmp_path / "other.py.rej").touch()
    assert [error.msg for error in check_update()] == [
        "a page.html has changes that an update could not merge.",
        "other.py.rej has changes that an update could not merge.",
    ]
    page.write_text("mine\n")
    (tmp_path / "other.py.rej").unlink()
    assert check_update() == []


def test_an_unmerged_path_is_an_error_until_it_is_added(
    git: Callable[..., None], tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    for branch, text in (("main", "base"), ("mine", "mine"), ("theirs", "theirs")):
        git("checkout", "--quiet", "-B", branch, "main")
        page.write_text(text)
        git("add", "page.html")
        git("commit", "--quiet", "-m", branch)
    git("merge", "--quiet", "mine")
    page.write_text("both")
    [error] = check_update()
    assert error.id == "fanout.E003"
    git("add", "page.html")
    assert check_update() == []


def test_without_git_there_is_nothing_to_check(
    git: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "page.html").write_text("<<<<<<< before updating\n")
    assert check_update()
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert check_update() == []


@pytest.mark.parametrize("deadline", [0, -1.0, float("nan"), "5"])
def test_a_wrong_deadline_is_an_error(settings: Settings, deadline: object) -> None:
    settings.FANOUT_DEADLINE = deadline
    [error] = check_options()
    assert error.id == "fanout.E004"
    assert error.msg.startswith("FANOUT_DEADLINE is a number of seconds above 0")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"timout": 0.5}, "there is no option 'timout'; there are url, timeout, personal."),
        ({"timeout": "0.5"}, "'timeout' is a number of seconds above 0, not '0.5'."),
        ({"timeout": True}, "'timeout' is a number of seconds above 0, not True."),
        ({"timeout": 0}, "'timeout' is a number of seconds above 0, not 0."),
        ({"timeout": -1.0}, "'timeout' is a number of seconds above 0, not -1.0."),
        ({"personal": "yes"}, "'personal' is a bool, not 'yes'."),
        (0.5, "options are a dictionary, not 0.5."),
    ],
)
def test_a_wrong_option_is_an_error_and_the_server_does_not_start(
    settings: Settings, options: object, problem: str
) -> None:
    settings.FANOUT_SERVICES = {"alpha": {"url": "http://alpha.test/"}}
    settings.FANOUT = {"alpha": options}
    [error] = check_options()
    assert error.id == "fanout.E004"
    assert error.msg == f"FANOUT['alpha']: {problem}"
    assert check_urls() == []
    with pytest.raises(ImproperlyConfigured, match="FANOUT"):
        refuse_unready()
