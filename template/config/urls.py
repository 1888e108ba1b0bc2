"""Your URLs, beside those of the homepage."""

from django.urls import include, path

urlpatterns = [
    path("", include("fanout.urls")),
]
