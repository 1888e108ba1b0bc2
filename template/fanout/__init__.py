"""The engine: it calls services, puts what they say on pages, and serves those. See README.md here."""

from fanout.calls.service import Service as Service
from fanout.calls.visit import Visit as Visit
