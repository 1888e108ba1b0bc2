"""Every URL of the template: the homepage in every style and their comparison, log-in, the admin, health."""

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from fanout.health import livez, readyz
from fanout.throttle import throttle
from fanout.views import VIEWS
from fanout.views.compare import compare

login = LoginView.as_view(extra_context={"title": settings.FANOUT_TITLE})

urlpatterns = [
    path("", VIEWS[settings.FANOUT_STYLE], name="home"),
    path("accounts/login/", throttle(login), name="login"),
    path("accounts/logout/", LogoutView.as_view(), name="logout"),
    path(f"{settings.ADMIN_PATH}login/", throttle(admin.site.login)),
    path(settings.ADMIN_PATH, admin.site.urls),
    path("livez", livez, name="livez"),
    path("readyz", readyz, name="readyz"),
]

if settings.FANOUT_COMPARE:
    urlpatterns += [
        path("compare/", compare, name="compare"),
        *(
            path(f"compare/{style}/", view, name=f"compare-{style}")
            for style, view in VIEWS.items()
        ),
    ]
