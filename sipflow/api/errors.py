"""Every error as the answer that a client gets: one shape, a sentence, and the request's id."""

from collections.abc import Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from sipflow.api.envelope import ErrorAnswer, LogsErrorAnswer
from sipflow.api.models.values import NAME, URL
from sipflow.errors import (
    AgentError,
    ApiError,
    CallEnded,
    Conflict,
    LimitReached,
    LocalProtocolError,
    MediaError,
    NotFound,
    SipflowError,
    StoreError,
    TransportError,
)

_log = structlog.get_logger("sipflow.api")
_STORE_PAUSE_S = 2
_LOGS = "/v2/logs"  # whose errors have a shape of their own

_PATTERNS: Mapping[str, str] = {  # of `models.values`, in words
    URL: "write a URL, as in https://example.com/hook",
    NAME: "it has letters, digits and + . _ - only",
}

CATEGORIES: Mapping[int, str] = {
    400: "validation_error",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    409: "conflict",
    413: "too_large",
    415: "unsupported_media_type",
    416: "range_not_satisfiable",
    422: "validation_error",
    429: "rate_limited",
    500: "internal_error",
    501: "not_implemented",
    502: "bad_gateway",
    503: "unavailable",
}
_MEANING: Mapping[int, str] = {
    400: "Something in the request is wrong; the sentence names the field.",
    401: "The token is missing, unknown, expired or revoked.",
    403: "The token is good, but not for this; or what is asked for is not ours to do.",
    404: "There is no such thing.",
    405: "This path knows other methods.",
    408: "The body did not come in time.",
    409: "It contradicts what is there: taken, declared in the configuration, or in use.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    416: "The recording is shorter than the range that is asked for.",
    422: "The same Idempotency-Key came with another request before.",
    429: "A limit refuses it for now; Retry-After says when to try again.",
    500: "A bug of ours; the log has it under the request's id.",
    501: "Not done here.",
    502: "Somebody whom we asked did not answer as agreed.",
    503: "Not now: the store cannot be used, or this part does not run; Retry-After says when to try again.",
}


def add_error_handlers(app: FastAPI) -> None:
    """Have every error of the app answered in the shape of the API."""
    for kind in (SipflowError, RequestValidationError, HTTPException, SQLAlchemyError, ConnectionError, Exception):
        app.add_exception_handler(kind, answer)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what a route's `responses` say of these errors, beside those that every route may answer with."""
    return {status: {"model": ErrorAnswer, "description": _MEANING[status]} for status in statuses}


EVERYWHERE = documented(400, 401, 403, 500, 503)  # every route may answer with these; `create_app` says so


async def answer(request: Request, error: Exception) -> Response:
    """Answer a request that ended in an error."""
    answered = translated(error)
    if answered.status == 405:
        answered.headers["Allow"] = ", ".join(_methods_at(request))
    return respond(request.scope, answered)


def _methods_at(request: Request) -> list[str]:
    """Return every method of a path: each is a route of its own, and knows only itself."""
    found: set[str] = set()
    for route in request.app.state.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            found |= route.methods
    return sorted(found)


def category_of(error: ApiError) -> str:
    """Give the one word of an error, its own or that of its status."""
    return error.category or CATEGORIES.get(error.status, "error")


def respond(scope: Any, error: ApiError) -> Response:
    """Make the answer of an error to the request with this ASGI scope."""
    request_id = str(scope.get("request_id", ""))
    if str(scope.get("path", "")).startswith(_LOGS):
        content = LogsErrorAnswer(error=category_of(error), message=error.description).model_dump()
    else:
        content = {
            "detail": {
                "status": "error",
                "description": error.description,
                "request_id": request_id,
                "category": category_of(error),
            }
        }
    return JSONResponse(content, error.status, error.headers)


def translated(error: Exception) -> ApiError:
    """Return the answer to whatever a route raised; what nobody expected is logged with its traceback."""
    match error:
        case ApiError():
            return error
        case NotFound():
            return ApiError(404, str(error))
        case Conflict():
            return ApiError(409, str(error))
        case CallEnded():
            return ApiError(409, f"the call is over: {error.reason}")
        case LimitReached():
            return ApiError(429, str(error), headers={"Retry-After": str(error.retry_after_s)})
        case LocalProtocolError() | AgentError() | MediaError():
            return ApiError(400, str(error))
        case RequestValidationError():
            return ApiError(400, _wrong_fields(error))
        case HTTPException():
            return _of_http(error)
        case TransportError():
            return ApiError(502, str(error))
        case StoreError() | SQLAlchemyError() | ConnectionError():
            _log.error("the store cannot be used", why=_first_line(error))
            sentence = str(error) if isinstance(error, StoreError) else "the store cannot be used just now"
            return ApiError(503, sentence, "store_unavailable", headers={"Retry-After": str(_STORE_PAUSE_S)})
    _log.error("a request failed by a bug of ours", exc_info=error)
    return ApiError(500, "a bug of ours; the log has it under this request's id")


def _of_http(error: HTTPException) -> ApiError:
    if error.status_code == 404:
        return ApiError(404, "there is nothing at this path")
    if error.status_code == 400:  # the one that FastAPI raises by itself: not UTF-8, or too deep
        return ApiError(400, "the body cannot be read: it must be JSON in UTF-8, not compressed, and not too deep")
    if error.status_code == 405:
        return ApiError(405, "this path knows other methods", headers=error.headers)
    return ApiError(error.status_code, str(error.detail), headers=error.headers)


def _wrong_fields(error: RequestValidationError) -> str:
    """Say what is wrong with which field, never its value."""
    return "; ".join(_sentence(detail) for detail in error.errors()) or "the request cannot be read"


def _sentence(detail: Any) -> str:
    kind, where, said = str(detail["type"]), list(detail["loc"]), str(detail["msg"])
    if kind == "json_invalid":
        return "the body is not JSON"
    field = ".".join(str(part) for part in where[1:])
    if kind == "missing":
        return f"{field}: it is missing" if field else "the body is missing"
    if kind == "value_error":
        said = str(detail.get("ctx", {}).get("error", said))
        return f"{field}: {said}" if field else said
    if kind == "too_short" and detail.get("ctx", {}).get("min_length") == 1:
        said = "it must not be empty"
    if kind == "string_pattern_mismatch":
        said = _PATTERNS.get(detail["ctx"]["pattern"], said)
    if kind in ("model_attributes_type", "model_type", "dict_type"):
        said = "it must be an object, sent with Content-Type: application/json"
    return f"{field or f'the {where[0]}'}: {said[:1].lower()}{said[1:]}"


def _first_line(error: Exception) -> str:
    """Say what a database said, without the statement and its values, which may be secrets."""
    cause = getattr(error, "orig", None) or error
    return f"{type(error).__name__}: {str(cause).splitlines()[0][:300]}" if str(cause) else type(error).__name__
