"""What a team writes as Django's documentation has it is in order for a project's checks and tests."""

import re
from pathlib import Path

import pytest

from tests.conftest import Copy
from tests.environments import Environment
from tests.updates.versions import append, replace

# An app as `startapp` and the tutorial make it, with types where mypy wants them.
APP = {
    "__init__.py": "",
    "apps.py": '''"""The app."""

from django.apps import AppConfig


class OrdersConfig(AppConfig):
    """Orders."""

    name = "orders"
''',
    "models.py": '''"""What customers have ordered."""

from django.db import models


class Order(models.Model):
    """One book for one customer."""

    title = models.CharField(max_length=100)

    class Meta:
        ordering = ["title"]

    def __str__(self) -> str:
        return self.title
''',
    "admin.py": '''"""Orders in the admin."""

from django.contrib import admin

from orders.models import Order


@admin.register(Order)
class OrderAdmin(admin.ModelAdmin):
    """All orders, to be searched."""

    list_display = ["title"]
    search_fields = ["title"]
''',
    "middleware.py": '''"""A header for every page."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse


def stamp(get_response: Callable[[HttpRequest], HttpResponse]) -> object:
    """Add `X-Shop` to every response."""

    def answer(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers["X-Shop"] = "open"
        return response

    return answer
''',
    "tests.py": '''"""Orders, and what the settings say of them."""

from django.conf import settings
from django.test import TestCase
from django.urls import reverse

from orders.models import Order


class OrderTests(TestCase):
    """Orders are sorted, pages are stamped."""

    def test_orders_come_by_their_titles(self) -> None:
        for title in ("Salt Roads", "Late Frost"):
            Order.objects.create(title=title)
        assert [str(order) for order in Order.objects.all()] == ["Late Frost", "Salt Roads"]

    def test_every_page_is_stamped(self) -> None:
        assert self.client.get(reverse("livez")).headers["X-Shop"] == settings.SHOP
''',
}
SETTINGS = '''"""Your settings: whatever stands here wins over config/base.py, and no update touches it."""

from config.base import *  # noqa: F403
from config.base import env

INSTALLED_APPS += ["comparison", "orders"]
MIDDLEWARE += ["orders.middleware.stamp"]
SHOP = env.str("SHOP", default="open")
'''


@pytest.fixture
def shop(copy: Copy, environment: Environment) -> Path:
    """A project with an app of its own, its first migration, and a page that ends in an empty line."""
    project = copy()
    for name, text in APP.items():
        append(project / "orders" / name, text)
    (project / "config/settings.py").write_text(SETTINGS, encoding="utf-8")
    append(project / "homepage/jinja2/base.html", "\n")
    replace(
        project / "homepage/jinja2/base.html", "{% block footer %}", "<p>1907</p>{% block footer %}"
    )
    environment.run(project, "python", "manage.py", "makemigrations", "orders")
    assert (project / "orders/migrations/0001_initial.py").exists()
    return project


def test_an_app_of_the_teams_is_in_order(shop: Path, environment: Environment) -> None:
    environment.run(shop, "ruff", "check", "--no-cache")
    environment.run(shop, "ruff", "format", "--check", "--no-cache")
    environment.run(shop, "mypy", "--cache-dir", str(environment.path / ".mypy_cache"))
    environment.run(shop, "djlint", "--lint", ".")
    environment.run(shop, "python", "manage.py", "check", "--fail-level", "WARNING")
    environment.run(shop, "python", "manage.py", "makemigrations", "--check")
    printed = environment.run(shop, "pytest", "-v", "-p", "no:cacheprovider")
    assert len(re.findall(r"^orders/tests\.py::.* PASSED", printed, re.MULTILINE)) == 2


HOSTILE = """

INSTALLED_APPS += ["comparison"]
MIDDLEWARE += [
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.middleware.locale.LocaleMiddleware",
]
LANGUAGE_CODE = "fa"
LOGIN_URL = "/elsewhere/"
LOGIN_REDIRECT_URL = "nowhere"
ALLOWED_HOSTS = ["shop.example"]
SECURE_SSL_REDIRECT = True
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
CACHES = {**CACHES, "default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
FANOUT_DEADLINE = 0.001
FANOUT_COMPARE = False
"""
CLASSES = """

class Promo(Service):
    required = personal = True
    timeout = 0.001
    concurrency = 1


class Alpha(Promo):
    pass
"""


def test_a_projects_tests_hold_whatever_the_team_does(copy: Copy, environment: Environment) -> None:
    project = copy()
    settings = project / "config/settings.py"
    settings.write_text(f"from config.base import *  # noqa: F403{HOSTILE}", encoding="utf-8")
    append(project / "homepage/services.py", CLASSES)
    for page in (project / "homepage/jinja2").rglob("*.html"):
        page.write_text("{{ nothing.of.this }}{% include 'exists.html' %}", encoding="utf-8")
    views = project / "homepage/views.py"
    for style in ("sync", "naive"):
        replace(views, f'    "{style}": {style},\n', "")
    replace(project / "config/urls.py", '    path("compare/", include("comparison.urls")),\n', "")
    own = "--ignore=tests/test_services.py"  # an example, which looks at the team's own page
    printed = environment.run(project, "pytest", "-q", "-p", "no:cacheprovider", own)
    assert " passed" in printed
