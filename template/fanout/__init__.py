"""The engine: it calls services, puts what they say on pages, and serves those. See README.md here."""

from fanout.calls.auth import ClientCredentials as ClientCredentials
from fanout.calls.auth import Secret as Secret
from fanout.calls.service import Service as Service
from fanout.calls.visit import Visit as Visit
