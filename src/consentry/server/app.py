"""The application: the API under /api/v1, the sign-in page, and the guard before everything."""

from __future__ import annotations

from fastapi import Depends, FastAPI

import consentry
from consentry.server import (
    api_approvals,
    api_ledger,
    api_live,
    api_people,
    api_session,
    api_site,
    api_tokens,
    api_users,
)
from consentry.server.account_page import account_routes
from consentry.server.guard import Guard
from consentry.server.oidc_pages import oidc_routes
from consentry.server.pages import OneTimeLink, login_routes
from consentry.server.problems import handle_problems
from consentry.server.services import Services, signed_in

API_PATH = "/api/v1"


def api_paths() -> list[str]:
    """Every address of the API, for the check that `docs/api.md` names it."""
    return sorted(f"{API_PATH}{path}" for path in _api().openapi()["paths"])


def create_app(services: Services, *, demo_link: OneTimeLink | None = None) -> FastAPI:
    """The web application of one hub. It neither starts nor stops the hub.

    Args:
        services: What it works with.
        demo_link: Signs in whoever has it, once; demo only.
    """
    api = _api()
    api.state.services = services
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.state.services = services
    app.state.demo_link = demo_link
    handle_problems(app)
    app.include_router(login_routes)
    app.include_router(account_routes)
    app.include_router(oidc_routes)
    app.include_router(api_ledger.open_routes)
    app.mount(API_PATH, api)
    app.add_middleware(Guard, services=services)
    return app


def _api() -> FastAPI:
    """The routes of the API, which find their services in `state`."""
    api = FastAPI(
        title="Consentry",
        version=consentry.__version__,
        openapi_url="/openapi.json",
        docs_url=None,  # the usual pages load scripts from other hosts
        redoc_url=None,
    )
    handle_problems(api)
    api.include_router(api_session.open_routes)
    closed = [Depends(signed_in)]  # behind the guard, a second lock
    for routes in (
        api_session.closed_routes,
        api_tokens.routes,
        api_users.routes,
        api_live.routes,
        api_people.routes,
        api_site.routes,
        api_approvals.routes,
        api_ledger.routes,
    ):
        api.include_router(routes, dependencies=closed)
    return api
