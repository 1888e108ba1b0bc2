"""The comparison, and pages in every style: in development, or where FANOUT_COMPARE is on."""

from django.conf import settings
from django.urls import path

from comparison.views import compare, show
from homepage.views import VIEWS

_styles = [path(f"{style}/", view, name=f"compare-{style}") for style, view in VIEWS.items()]

_others = path("<slug:style>/<path:address>", show)

urlpatterns = [path("", compare, name="compare"), *_styles, _others]
if not settings.FANOUT_COMPARE:
    urlpatterns = []
