"""The HTTP application: its routers, its errors, its OpenAPI document."""

import asyncio
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from sipflow import __version__
from sipflow.api.auth import Caller, Door, authorised, granted
from sipflow.api.context import Context
from sipflow.api.errors import EVERYWHERE, add_error_handlers
from sipflow.api.express import PlacingExpress
from sipflow.api.gate import Gate
from sipflow.api.openapi import openapi_document
from sipflow.api.recording_links import PATH as RECORDING_LINKS
from sipflow.api.routes import (
    assistants,
    calls,
    events,
    explain,
    health,
    listen,
    log_tail,
    logs,
    metrics,
    numbers,
    phonebooks,
    pools,
    prepare_inbound,
    quality,
    recordings,
    status,
    tokens,
    traces,
    transfers,
    trunks,
)

OPENAPI_PATH = "/v2/openapi.json"
OPEN_PATHS = frozenset(
    {OPENAPI_PATH, "/v2/health", "/healthz", "/readyz"}
)  # need no token: they hold nothing that is anybody's
NEAR_PATHS = {"/metrics": Caller("local", "this machine", granted(["status:read"]))}  # nor do these, from here
OPEN_PREFIXES = (RECORDING_LINKS,)  # what is below carries a signature of ours instead

ROUTERS: tuple[APIRouter, ...] = (
    numbers.router,
    assistants.router,
    trunks.router,
    phonebooks.router,
    calls.router,
    transfers.router,
    recordings.router,
    events.router,
    explain.router,
    prepare_inbound.router,
    pools.router,
    logs.router,
    tokens.router,
    traces.router,
    listen.router,
    log_tail.router,
    quality.router,
    status.router,
    metrics.router,
    health.router,
)


def create_app(context: Context, door: Door, *, routers: Sequence[APIRouter] = ROUTERS) -> FastAPI:
    """Make the application.

    Args:
        context: what the routes work on.
        door: who knows the tokens.
        routers: the paths. Each of them must say which scope it needs, or be named in `OPEN_PATHS` or `OPEN_PREFIXES`.

    Raises:
        ValueError: a route would be open to every token.
    """
    app = FastAPI(
        title="sipflow",
        version=__version__,
        openapi_url=None,  # published below: making the document takes longer than audio can wait
        docs_url=None,  # it would load a page's scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # the gate takes them off
        generate_unique_id_function=lambda route: route.name,
        responses=EVERYWHERE,
    )
    app.state.context = context
    app.state.door = door
    app.state.routes = routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    for route in routes:
        _check_scope(route)
    add_error_handlers(app)
    for router in routers:
        app.include_router(router)
    app.add_api_route(OPENAPI_PATH, _publish, include_in_schema=False)
    app.add_middleware(
        Gate,
        opens=door.open,
        open_paths=OPEN_PATHS,
        open_prefixes=OPEN_PREFIXES,
        near_paths=NEAR_PATHS,
        express={("POST", "/v2/calls"): PlacingExpress(context)} if calls.router in routers else {},
        settings=context.settings,
    )
    return app


def _check_scope(route: APIRoute) -> None:
    is_open = route.path in OPEN_PATHS or route.path.startswith(OPEN_PREFIXES)
    if not is_open and not scope_of(route):
        raise ValueError(f"{route.path} says no scope: give it `dependencies=[requires(...)]`")


def scope_of(route: APIRoute) -> str:
    """Return the scope that a route needs, "" for none."""
    for dependency in route.dependant.dependencies:
        if dependency.call is authorised:
            return " ".join(dependency.own_oauth_scopes or ())
    return ""


async def _publish(request: Request) -> Response:
    """Send the OpenAPI document, which is made when somebody first asks, beside the loop."""
    app: FastAPI = request.app
    return JSONResponse(app.openapi_schema or await asyncio.to_thread(document_of, app))


def document_of(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, made once."""
    if app.openapi_schema is None:
        app.openapi_schema = openapi_document(app.routes, open_paths=OPEN_PATHS)
    return app.openapi_schema
