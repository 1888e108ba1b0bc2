"""The project's URLs, and the page with a thread per call."""

from django.urls import include, path

from measured import threads

urlpatterns = [
    path("threads/", threads.home),
    path("", include("config.urls")),
]
