"""What may be answered, what is refused and how, and what the defaults are."""

import json
import keyword
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, Copy
from tests.environments import Environment, uv
from tests.test_rendering import read_answers


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({"project_name": ""}, "project_name.*give the project a name"),
        ({"project_name": "   "}, "project_name.*give the project a name"),
        ({"project_name": " Bookshop"}, "project_name.*without spaces around it"),
        ({"project_name": "x" * 61}, "project_name.*at most 60 characters, not 61"),
        ({"project_name": "a\nb"}, "project_name.*printable"),
        ({"project_name": "a\tb"}, "project_name.*printable"),
        ({"project_name": "a\u202eb"}, "project_name.*printable"),
        ({"service_count": 0}, "service_count.*from 1 to 32, not 0"),
        ({"service_count": 33}, "service_count.*from 1 to 32, not 33"),
        ({"service_count": -1}, "service_count.*from 1 to 32, not -1"),
        (
            {"service_count": 2, "service_names": "promo"},
            "service_names.*exactly 2 names.*there is 1",
        ),
        (
            {"service_count": 2, "service_names": "a, b, c"},
            "service_names.*exactly 2 names.*there are 3",
        ),
        ({"service_names": "x, " * 33}, 'service_names.*"x" stands there twice'),
        ({"service_names": ""}, "service_names.*exactly 2 names.*there are 0"),
        ({"service_names": "promo, promo"}, 'service_names.*"promo" stands there twice'),
        (
            {"service_names": "promo, Recco"},
            'service_names.*"Recco" is not a lowercase Python name',
        ),
        ({"service_names": "promo, 2go"}, 'service_names.*"2go" is not a lowercase Python name'),
        ({"service_names": "promo, a-b"}, 'service_names.*"a-b" is not a lowercase Python name'),
        ({"service_names": "promo, a b"}, 'service_names.*"a b" is not a lowercase Python name'),
        ({"service_names": "promo, é"}, 'service_names.*"é" is not a lowercase Python name'),
        ({"service_names": "promo, class"}, 'service_names.*"class" is a word of Python\'s own'),
        ({"service_names": "promo, match"}, 'service_names.*"match" is a word of Python\'s own'),
        ({"service_names": "promo, admin"}, 'service_names.*"admin" is reserved'),
        ({"service_names": "promo, nul"}, 'service_names.*"nul" is reserved'),
        ({"service_names": "promo, " + "x" * 41}, "service_names.*longer than 40 characters"),
        ({"style": "fast"}, "style.*'fast' is not in"),
        ({"deploy": "heroku"}, "deploy.*'heroku' is not in"),
        ({"ci": "jenkins"}, "ci.*'jenkins' is not in"),
    ],
)
def test_a_bad_answer_is_refused_by_name(
    copy: Copy, tmp_path: Path, answers: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason) as raised:
        copy(**answers)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "project").exists()


@pytest.mark.parametrize("names", ["a, b, c", "promo"])
def test_names_alone_say_how_many_there_are(copy: Copy, names: str) -> None:
    answers = read_answers(copy(service_names=names))
    assert (answers["service_count"], answers["service_names"]) == (names.count(",") + 1, names)


def test_default_names_come_from_the_catalogue_then_count_on(copy: Copy) -> None:
    names = str(read_answers(copy(service_count=32))["service_names"]).split(", ")
    assert names[:4] == ["promo", "recco", "reviews", "bestsellers"]
    assert names[12:] == [f"service_{number}" for number in range(13, 33)]
    assert len(set(names)) == 32


@pytest.mark.parametrize(
    ("before", "count", "after"),
    [
        ("alpha, beta", 3, "alpha, beta, promo"),
        ("alpha, beta", 1, "alpha"),
        ("recco, promo", 4, "recco, promo, reviews, bestsellers"),
    ],
)
def test_names_given_earlier_are_kept_when_the_count_changes(
    copy: Copy, before: str, count: int, after: str
) -> None:
    copy("a [b] c", service_count=2, service_names=before)
    project = copy("a [b] c", service_count=count)
    assert read_answers(project)["service_names"] == after


@pytest.mark.parametrize(
    "answers_file", ["service_names: [1, 2]", "service_names: 'NUL, class, ok'"]
)
def test_a_broken_answers_file_still_gives_valid_defaults(
    copy: Copy, tmp_path: Path, answers_file: str
) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / ".copier-answers.yml").write_text(answers_file, encoding="utf-8")
    names = str(read_answers(copy(service_count=3))["service_names"]).split(", ")
    assert len(names) == 3


@pytest.mark.parametrize(
    ("project_name", "slug"),
    [
        ("Bookshop", "bookshop"),
        ("My  Book-Shop!", "my-book-shop"),
        ("Café Ünder Straße", "cafe-under-strasse"),
        ("Łódź Ærø", "lodz-aero"),
        ("Книги", "site"),
        ("Книги shop 📚", "shop"),
        ("1984", "site-1984"),
        ("Django", "django-site"),
        ("…", "site"),
        ("x" * 60, "x" * 50),
    ],
)
def test_the_slug_is_a_safe_package_name(copy: Copy, project_name: str, slug: str) -> None:
    project = copy(project_name=project_name)
    pyproject = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    assert pyproject["project"]["name"] == slug


def test_uv_accepts_a_project_named_like_its_dependency(copy: Copy) -> None:
    locked = uv("lock", "--quiet", "--project", str(copy(project_name="Django")))
    assert locked.returncode == 0, locked.stderr


def test_the_slug_avoids_every_package_that_a_project_installs(pytestconfig: pytest.Config) -> None:
    lock = pytestconfig.rootpath / ".pytest_cache/environments/project/uv.lock"
    packages = {p["name"] for p in tomllib.loads(lock.read_text(encoding="utf-8"))["package"]}
    assert packages - {"bookshop"} == set(read_list("project.jinja", "PACKAGES"))


def test_every_keyword_is_refused() -> None:
    keywords = {word for word in (*keyword.kwlist, *keyword.softkwlist) if word.islower()}
    assert keywords <= set(read_list("services.jinja", "KEYWORDS"))


def test_every_name_that_would_collide_is_reserved(copy: Copy, newest: Environment) -> None:
    """With a URL of the project, a setting read from the environment, or a section's template."""
    project = copy()
    routes = newest.run(
        project,
        *("python", "manage.py", "shell", "--no-imports", "-c"),
        "from config import urls; from homepage.urls import urlpatterns as homepage;"
        "print([str(route.pattern) for route in (*urls.urlpatterns, *homepage)])",
    )
    taken = {route.split("/")[0] for route in re.findall(r"'([a-z]\w*)/", routes)}
    taken = taken - {"books"} | {"static"}  # the first is a page, and no service's
    settings = (project / "config/base.py").read_text(encoding="utf-8")
    taken |= {name.lower() for name in re.findall(r'"(\w+)_URL"', settings)}
    templates = {path.stem for path in (project / "homepage/jinja2/sections").iterdir()}
    taken |= templates - set(read_list("services.jinja", "CATALOGUE"))
    assert taken >= {"admin", "compare", "fakes", "default"}
    assert taken <= set(read_list("services.jinja", "RESERVED"))


def read_list(macros: str, name: str) -> list[str]:
    """A list of words in a file of macros."""
    text = (ROOT / "hooks" / macros).read_text(encoding="utf-8")
    words: list[str] = json.loads(re.findall(rf"set {name} = (\[.*?\])", text)[0])
    return words


def test_the_prompts_explain_a_refusal_and_keep_what_was_typed(
    template: Path, tmp_path: Path
) -> None:
    if sys.platform == "win32":
        pytest.skip("pexpect drives pseudo-terminals, which Windows does not have.")
    import pexpect

    child = pexpect.spawn(
        sys.executable,
        ["-m", "copier", "copy", str(template), str(tmp_path / "shop")],
        encoding="utf-8",
        timeout=30,
        dimensions=(40, 200),
    )
    child.expect("What is the project called.*Bookshop")
    child.send("\x15\r")  # all gone, then Enter
    child.expect("give the project a name")
    child.send("My shop\r")
    child.expect("How many services.*2")
    child.send("\x7f40\r")
    child.expect("give a number from 1 to 32, not 40")
    child.send("\x7f\x7f3\r")
    child.expect("What are the services called.*promo, recco, reviews")
    child.send(", class\r")
    child.expect('"class" is a word of Python\'s own')
    child.send("\x7f" * len(", class") + "\r")
    child.expect("How does the homepage wait.*gather")
    child.send("\x1b[B\r")  # the next one
    child.expect("files to run it in containers.*none")
    child.send("\x1b[B\r")
    child.expect("checks and tests run.*GitHub")
    child.send("\x1b[B\r")
    child.expect("Your project is ready")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert read_answers(tmp_path / "shop") == {
        "project_name": "My shop",
        "service_count": 3,
        "service_names": "promo, recco, reviews",
        "style": "naive",
        "deploy": "container",
        "ci": "gitlab",
    }
