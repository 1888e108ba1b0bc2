"""The comparison, and pages in every style: in development, or where FANOUT_COMPARE is on."""

from django.conf import settings
from django.urls import path
from environs import env

from comparison.views import compare, show
from homepage.views import VIEWS

_styles = [path(f"{style}/", view, name=f"compare-{style}") for style, view in VIEWS.items()]

# Past what proxies and middleware say of the page's own address: for developers, and the command.
_open = settings.DEBUG or env.bool("FANOUT_COMPARE_PAGES", default=False)
_others = [path("<slug:style>/<path:address>", show)] if _open else []

urlpatterns = [path("", compare, name="compare"), *_styles, *_others]
if not settings.FANOUT_COMPARE:
    urlpatterns = []
