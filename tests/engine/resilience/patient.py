"""Production settings in which no call and no page runs out of time."""

from config.settings import *  # noqa: F403

FANOUT_DEADLINE = 600.0
FANOUT = {name: {"timeout": 300.0} for name in FANOUT_SERVICES}  # noqa: F405
