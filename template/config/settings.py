"""Your settings: whatever stands here wins over config/base.py, and no update touches it."""

from config.base import *  # noqa: F403

INSTALLED_APPS += ["comparison"]
