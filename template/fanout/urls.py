"""Every URL of the template: the homepage, the comparison and the admin."""

from django.conf import settings
from django.contrib import admin
from django.urls import path

from fanout.views import VIEWS

urlpatterns = [
    path("", VIEWS[settings.FANOUT_STYLE], name="home"),
    path("admin/", admin.site.urls),
]

if settings.FANOUT_COMPARE:
    urlpatterns += [
        path(f"compare/{style}/", view, name=f"compare-{style}") for style, view in VIEWS.items()
    ]
