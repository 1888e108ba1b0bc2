"""Production settings in which no call and no page runs out of time."""

from config.settings import *  # noqa: F403
from fanout import Service

FANOUT_DEADLINE = 600.0
Service.timeout = 300.0
