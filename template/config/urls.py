"""Your URLs: no update touches this file."""

from django.urls import include, path

urlpatterns = [
    path("", include("homepage.urls")),
    path("compare/", include("comparison.urls")),
]
