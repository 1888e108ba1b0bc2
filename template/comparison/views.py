"""An async view that shows the styles side by side, and what each of them took."""

from statistics import median
from typing import Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.db.transaction import non_atomic_requests
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import resolve
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_http_methods

from comparison.runs import add_run, format_ms, get_p95, recall_runs, round_up
from homepage.views import HOME, VIEWS


@non_atomic_requests
@require_http_methods(["GET", "HEAD", "POST"])
@cache_control(no_store=True, private=True)
async def compare(request: HttpRequest) -> HttpResponse:
    """The last run, which is made if there is none; POST makes another one."""
    if request.method == "POST":
        await add_run(request)
        return redirect("compare")
    runs = await recall_runs() or await add_run(request)
    user = await request.auser()
    context = {
        "run": runs[-1],
        "totals": [sorted(page.total for page in pages) for pages in zip(*runs, strict=True)],
        "axis": round_up(max(page.total for page in runs[-1])),
        "median": median,
        "p95": get_p95,
        "after": {s.name: " and ".join(s.after) for s in HOME.sections if s.after},
        "kept": list(dict.fromkeys(b.name for page in runs[-1] for b in page.bars if b.kept)),
        "ms": format_ms,
        "viewer": user if user.is_authenticated else None,
    }
    return render(request, "compare.html", context, using="jinja2")


@non_atomic_requests
async def show(request: HttpRequest, style: str, address: str) -> Any:
    """The page that has this address, in another style."""
    match = request.resolver_match = resolve(f"/{address}")
    if style not in VIEWS or match.func not in VIEWS.values():
        raise Http404
    view = VIEWS[style]
    return await (view if iscoroutinefunction(view) else sync_to_async(view))(
        request, **match.kwargs
    )
