"""What orchestrators and load balancers ask: is the process alive, and is it ready to serve."""

import logging

from django.contrib.auth.decorators import login_not_required
from django.db import Error, connection
from django.db.transaction import non_atomic_requests
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from fanout.policies.deadline import time_limit

READY_SECONDS = 0.75  # for the database: whoever asks has an answer within a second


@non_atomic_requests
@login_not_required
@never_cache
@require_safe
async def livez(request: HttpRequest) -> HttpResponse:
    """200 as long as the process answers."""
    return HttpResponse("alive\n", content_type="text/plain")


@non_atomic_requests
@login_not_required
@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 if the database answers, else 503. A service that is down is no reason to stop serving."""
    try:
        with time_limit(READY_SECONDS), connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        logging.getLogger("fanout").exception("The database cannot be reached")
        return HttpResponse("the database cannot be reached\n", "text/plain", 503)
    return HttpResponse("ready\n", content_type="text/plain")
