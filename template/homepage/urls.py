"""The pages, log-in, the admin, and what orchestrators ask."""

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from fanout.serving.health import livez, readyz
from fanout.serving.throttle import throttle
from homepage.views import BOOK, VIEWS

login = throttle(LoginView.as_view(template_name="login.html", template_engine="jinja2"))

urlpatterns = [
    path("", VIEWS[settings.FANOUT_STYLE], name="home"),
    path("books/<slug:isbn>/", VIEWS[settings.FANOUT_STYLE], {"page": BOOK}, name="book"),
    path("accounts/login/", login, name="login"),
    path("accounts/logout/", LogoutView.as_view(), name="logout"),
    path(f"{settings.ADMIN_PATH}login/", throttle(admin.site.login)),
    path(settings.ADMIN_PATH, admin.site.urls),
    path("livez", livez, name="livez"),
    path("readyz", readyz, name="readyz"),
]
