"""The HTML of a section, made once for all pages that show the same answer in the same way."""

from functools import cache
from typing import Any

from django.http import HttpRequest
from django.template import engines
from django.template.loader import select_template
from jinja2 import Environment, nodes
from jinja2.filters import FILTERS
from jinja2.meta import find_referenced_templates, find_undeclared_variables

from fanout.section import Section

STABLE = {"name", "title", "items", "data"}  # what a section has of its answer alone


def render_section(section: Section, request: HttpRequest) -> str:
    """The section's HTML, made by its own template or by the default one; raises what that raises."""
    engine: Any = engines["jinja2"]
    select = _select_template.__wrapped__ if engine.env.auto_reload else _select_template
    template, stable = select(engine, section.name)
    key = (template.template, section.name)
    if stable and key in section.html:
        return section.html[key]
    html: str = template.render({"section": section}, request)
    if stable:
        section.html[key] = html
    return html


@cache
def _select_template(engine: Any, name: str) -> tuple[Any, bool]:
    templates = [f"fanout/sections/{name}.html", "fanout/sections/default.html"]
    template: Any = select_template(templates, using=engine.name)
    return template, is_stable(engine.env, template.template.name)


def is_stable(environment: Environment, name: str) -> bool:
    """Whether the template `name` makes the same of a section whenever the answer is the same.

    It does if it uses nothing but the section, nothing of that but STABLE, and Jinja's own filters.
    """
    if environment.extensions or not environment.loader:
        return False
    plain = environment.overlay()
    plain.globals = {}  # so that these are undeclared too
    tree = plain.parse(environment.loader.get_source(environment, name)[0])
    uses = [node for node in tree.find_all(nodes.Name) if node.name == "section"]
    parts = [part for part in tree.find_all(nodes.Getattr) if part.node in uses]
    return (
        find_undeclared_variables(tree) <= {"section"}
        and not list(find_referenced_templates(tree))
        and len(parts) == len(uses)
        and all(part.attr in STABLE for part in parts)
        and all(
            node.name != "random" and environment.filters.get(node.name) is FILTERS.get(node.name)
            for node in tree.find_all(nodes.Filter)
        )
    )
