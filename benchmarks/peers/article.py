"""The article's way: Django as `startproject` sets it up, and a client made for every page."""

import asyncio
import logging

import httpx
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from services import SERVICES, TEMPLATES, make_section

settings.configure(
    SECRET_KEY="only-for-the-benchmark",  # noqa: S106
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
        "django.contrib.staticfiles",
    ],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "DIRS": [TEMPLATES],
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
)

logger = logging.getLogger(__name__)


async def home(request: HttpRequest) -> HttpResponse:
    """All calls at once, with a client of their own."""
    sections = []
    try:
        async with httpx.AsyncClient() as client:
            responses = await asyncio.gather(*[client.get(url) for url in SERVICES.values()])
    except httpx.RequestError as error:
        logger.error("%s", type(error).__name__)
    else:
        for name, response in zip(SERVICES, responses, strict=True):
            if response.status_code == 200:
                sections.append(make_section(name, response.json()))
    return render(request, "home.html", {"sections": sections})


urlpatterns = [path("", home)]

application = get_asgi_application()
