"""The site's pages, and those of packages."""

from debug_toolbar.toolbar import debug_toolbar_urls
from django.urls import include, path

urlpatterns = [
    path("", include("config.urls")),
    path("auth/", include("allauth.urls")),
    *debug_toolbar_urls(),
]
