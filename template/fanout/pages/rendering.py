"""A section in HTML, made once for all pages that show the same answer in the same way; or in JSON."""

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cache, lru_cache, partial
from typing import Any

import markupsafe
from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpRequest
from django.template import TemplateDoesNotExist, engines
from django.template.loader import get_template, select_template
from django.templatetags.static import static
from django.urls import get_resolver, get_script_prefix, get_urlconf, reverse
from django.utils.translation import get_language
from jinja2 import Environment, Template, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.filters import FILTERS
from jinja2.meta import find_referenced_templates, find_undeclared_variables
from jinja2.tests import TESTS
from markupsafe import escape

from fanout.calls.section import Section

logger = logging.getLogger("fanout")
_METHODS = frozenset(dir(dict))
# What `escape` makes its objects of; if there is none any more, those have to do.
_escape_text: Callable[[str], str] = getattr(markupsafe, "_escape_inner", lambda s: str(escape(s)))
STABLE = {"name", "title", "items", "data"}  # what a section has of its answer alone


def show_section(
    section: Section, request: HttpRequest, *, as_json: bool = False, strict: bool = False
) -> tuple[Section, str]:
    """The section and its HTML or JSON; failed if making that raises. If `strict`, so does this.

    A failed section has no HTML, unless it has a template for that.
    """
    try:
        return section, encode_section(section) if as_json else render_section(section, request)
    except Exception:
        if strict:
            raise
        error = "has what JSON cannot say" if as_json else "has a template that fails"
        logger.exception("%s %s", section.name, error)
        if section.state == "failed":  # what failed before decides what becomes of the page
            return section, "null" if as_json else ""
        failed = replace(section, state="failed", error=error, data={}, status=None)
        return show_section(failed, request, as_json=as_json)


def encode_section(section: Section) -> str:
    """The section's JSON; raises if that cannot say what `read` gives."""
    own = {"state": section.state, "status": section.status, "age": round(section.age, 3)}
    return _json.encode({**section.data, **own, "title": section.title, "items": section.items})


class _JsonEncoder(DjangoJSONEncoder):
    def default(self, value: Any) -> Any:
        return dict(value) if isinstance(value, Mapping) else super().default(value)


_json = _JsonEncoder(ensure_ascii=False, allow_nan=False)


def render_section(section: Section, request: HttpRequest) -> str:
    """The section's HTML, made by its own template or by the default one; raises what that raises."""
    engine: Any = engines["jinja2"]
    select = _select_template.__wrapped__ if engine.env.auto_reload else _select_template
    template = select(engine, section.name, failed=section.state == "failed")
    if not template:
        return ""
    if not is_stable(template.template):
        return str(template.render({"section": section}, request))
    key = (template.template, section.name, section.title)
    if key not in section.html:
        section.html[key] = template.template.render(section=section)  # it knows nothing else
    return section.html[key]


@cache
def _select_template(engine: Any, name: str, *, failed: bool) -> Any:
    if not failed:
        names = [f"sections/{name}.html", "sections/default.html"]
        return select_template(names, using=engine.name)
    with suppress(TemplateDoesNotExist):
        return get_template(f"sections/{name}.failed.html", using=engine.name)
    return None


@lru_cache(1000)  # a template that is loaded anew, since its file has changed, is another one
def is_stable(template: Any) -> bool:
    """Whether a template makes the same of a section whenever the answer is the same.

    It does if it uses nothing but the section, nothing of that but STABLE, and Jinja's own filters
    and tests. Those that call others by their names do not count.
    """
    environment: Environment = template.environment
    if environment.extensions or environment.finalize or not environment.loader:
        return False
    plain = environment.overlay()
    plain.globals = {}  # so that these are undeclared too
    tree = plain.parse(environment.loader.get_source(environment, template.name)[0])
    uses = [node for node in tree.find_all(nodes.Name) if node.name == "section"]
    parts = [part for part in tree.find_all(nodes.Getattr) if part.node in uses]
    filters = {node.name for node in tree.find_all(nodes.Filter)}
    tests = {node.name for node in tree.find_all(nodes.Test)}
    return (
        find_undeclared_variables(tree) <= {"section"}
        and not list(find_referenced_templates(tree))
        and all(node.name != "self" for node in tree.find_all(nodes.Name))
        and len(parts) == len(uses)
        and all(part.attr in STABLE for part in parts)
        and not filters & {"random", "map", "select", "reject", "selectattr", "rejectattr"}
        and all(environment.filters.get(name) is FILTERS.get(name) for name in filters)
        and all(environment.tests.get(name) is TESTS.get(name) for name in tests)
    )


def find_block(
    template: Template, name: str, variables: dict[str, object]
) -> Callable[[dict[str, object]], str]:
    """What makes a block of a template, or of one that it extends; nothing if there is none.

    The top of the template runs once, with `variables`; the block each time, with more.
    """
    context = template.new_context(variables)
    parts = template.root_render_func(context)
    next((text for text in parts if text.strip()), None)  # what it sets, imports and extends
    render = context.blocks.get(name, [lambda _: iter(())])[0]
    return lambda more: "".join(render(context.derived(more)))


class _Template(Template):
    @classmethod
    def from_code(cls, environment: Environment, *args: Any, **options: Any) -> Template:
        """As Jinja does it, with what the code of `_CodeGenerator` needs besides."""
        template = super().from_code(environment, *args, **options)
        absent = cache(partial(environment.undefined, None, {}))  # to make one takes time
        template.root_render_func.__globals__.update(absent=absent, escape_text=_escape_text)
        return template


class _CodeGenerator(CodeGenerator):
    """As Jinja does it, but what a page does some 400 times is done at once."""

    def visit_Getattr(self, node: nodes.Getattr, frame: Frame) -> None:
        if node.attr in _METHODS or self.environment.is_async:
            return super().visit_Getattr(node, frame)
        key = repr(node.attr)
        self.write(f"((has[{key}] if {key} in has else absent({key})) if type(has := ")
        self.visit(node.node, frame)
        self.write(f") is dict else environment.getattr(has, {key}))")

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        if frame.eval_ctx.volatile or not frame.eval_ctx.autoescape or finalize.src:
            return super()._output_child_pre(node, frame, finalize)
        self.write("(escape_text(said) if type(said := ")

    def _output_child_post(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        if frame.eval_ctx.volatile or not frame.eval_ctx.autoescape or finalize.src:
            return super()._output_child_post(node, frame, finalize)
        self.write(") is str else said if type(said) is Markup else escape(said))")


class _Environment(Environment):
    template_class = _Template
    code_generator_class = _CodeGenerator

    def make_globals(self, d: Any) -> Any:
        """As Jinja does it, in one dict: a chain of two is slow to copy for every rendering."""
        return {**self.globals, **(d or {})}


def _reverse(viewname: str, *args: Any, **options: Any) -> str:
    """As Django does it, but an address without arguments is made once for all pages."""
    if args or options:
        return reverse(viewname, *args, **options)
    return _once(viewname, get_resolver(get_urlconf()), get_script_prefix(), get_language())


@lru_cache(1000)
def _once(viewname: str, *_: Any) -> str:
    return reverse(viewname)


def environment(**options: Any) -> Environment:
    """Jinja with what every page needs: `static()`, `url()` and the site's `title`."""
    environment = _Environment(trim_blocks=True, lstrip_blocks=True, **options)
    # A look-up in the manifest takes 8 us, and a page makes several.
    get_static = static if settings.DEBUG else lru_cache(1024)(static)
    environment.globals.update(static=get_static, url=_reverse, title=settings.FANOUT_TITLE)
    return environment
