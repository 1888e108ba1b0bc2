"""The project's own settings, with what the environment asks to change."""

import os

from config.settings import *  # noqa: F403
from config.settings import FANOUT_STYLE, MIDDLEWARE
from fanout import Service

ROOT_URLCONF = "measured.urls"
FANOUT_STYLE = os.environ.get("MEASURED_STYLE", FANOUT_STYLE)

if os.environ.get("MEASURED_COALESCE") == "false":
    Service.coalesce = False

Service.timeout = float(os.environ.get("MEASURED_TIMEOUT", Service.timeout))

if os.environ.get("MEASURED_CHAIN") == "true":
    FANOUT_CLASSES = "measured.chain"

if os.environ.get("MEASURED_PERSONAL") == "true":
    FANOUT_CLASSES = "measured.personal"

if os.environ.get("MEASURED_MIDDLEWARE") == "django":
    MIDDLEWARE = [
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ]
