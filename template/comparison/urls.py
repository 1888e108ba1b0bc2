"""The comparison and the homepage in every style: in development, or where FANOUT_COMPARE is on."""

from django.conf import settings
from django.urls import path

from comparison.views import compare
from homepage.views import VIEWS

_styles = [path(f"{style}/", view, name=f"compare-{style}") for style, view in VIEWS.items()]

urlpatterns = [path("", compare, name="compare"), *_styles] if settings.FANOUT_COMPARE else []
