"""One server that speaks as well-known APIs do, and refuses what they refuse.

Structure and names are those of the documentation that each answer's function names.
"""

from starlette.applications import Starlette

from engine.shapes import feeds, guarded, plain, posted


def create_app() -> Starlette:
    """All APIs; `state` knows the tokens that were made, and those that are `valid`."""
    app = Starlette(routes=[*plain.ROUTES, *posted.ROUTES, *guarded.ROUTES, *feeds.ROUTES])
    reset(app)
    return app


def reset(app: Starlette) -> None:
    """Forget all tokens."""
    app.state.tokens, app.state.valid, app.state.expires_in = [], set(), 3600
