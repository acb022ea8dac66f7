from typing import Any

import pytest
from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from sipflow.api.app import create_app
from sipflow.api.auth import Door, requires
from sipflow.api.errors import category_of, documented, translated
from sipflow.errors import (
    AgentError,
    ApiError,
    CallEnded,
    Conflict,
    LimitReached,
    LocalProtocolError,
    NotFound,
    StoreError,
    TransportError,
)
from tests.api.stage import ADMIN, Stage

SECRET = OperationalError("INSERT INTO trunks", {"password": "a secret"}, Exception("database is locked"))


class Wanted(BaseModel):
    name: str
    count: int = Field(ge=1)


@pytest.mark.parametrize(
    ("error", "status", "category", "sentence"),
    [
        (ApiError(501, "not here"), 501, "not_implemented", "not here"),
        (ApiError(400, "no", "own_word"), 400, "own_word", "no"),
        (NotFound("there is no number '1'"), 404, "not_found", "there is no number '1'"),
        (Conflict("taken"), 409, "conflict", "taken"),
        (CallEnded("they hung up"), 409, "conflict", "the call is over: they hung up"),
        (LimitReached("too many", limit="limits.calls", retry_after_s=7), 429, "rate_limited", "too many"),
        (LocalProtocolError("to: not a number"), 400, "validation_error", "to: not a number"),
        (AgentError("no such handler"), 400, "validation_error", "no such handler"),
        (TransportError("nobody there"), 502, "bad_gateway", "nobody there"),
        (StoreError("the disk is full"), 503, "store_unavailable", "the disk is full"),
        (SECRET, 503, "store_unavailable", "the store cannot be used just now"),
        (ConnectionRefusedError("5432"), 503, "store_unavailable", "the store cannot be used just now"),
        (RuntimeError("a secret"), 500, "internal_error", "a bug of ours; the log has it under this request's id"),
    ],
)
def test_every_error_has_a_status_a_word_and_a_sentence(
    error: Exception, status: int, category: str, sentence: str
) -> None:
    found = translated(error)

    assert (found.status, category_of(found), found.description) == (status, category, sentence)


def test_whoever_may_try_again_is_told_when() -> None:
    assert translated(LimitReached("x", limit="l", retry_after_s=7)).headers == {"Retry-After": "7"}
    assert translated(StoreError("x")).headers == {"Retry-After": "2"}


def test_the_log_has_no_values_of_statements(capsys: pytest.CaptureFixture[str]) -> None:
    translated(SECRET)

    assert "database is locked" in (said := capsys.readouterr().out)
    assert "a secret" not in said


def failing(api: Stage) -> Stage:
    """Add routes that fail in every way."""
    router = APIRouter(dependencies=[requires("admin")])

    @router.post("/v2/try/{kind}")
    async def fail(kind: int, wanted: Wanted) -> dict[str, str]:
        if kind == 1:
            raise RuntimeError("a secret")
        if kind == 2:
            raise LimitReached("too many calls", limit="limits.calls", retry_after_s=3)
        return {"name": wanted.name}

    @router.get("/v2/logs/try")
    async def fail_of_logs() -> dict[str, str]:
        raise NotFound("there is no delivery 'x'")

    app = create_app(api.context, Door(None, [ADMIN]), routers=[router])
    api.client._transport.app = app  # type: ignore[attr-defined]
    return api


async def test_a_bug_of_ours_is_500_in_the_shape_of_the_reference_and_says_nothing_of_itself(api: Stage) -> None:
    with capture_logs() as lines:
        answer = await failing(api).client.post("/v2/try/1", json={"name": "x", "count": 1})
    request_id = answer.headers["X-Request-Id"]

    assert answer.status_code == 500
    assert answer.json() == {
        "detail": {
            "status": "error",
            "description": "a bug of ours; the log has it under this request's id",
            "request_id": request_id,
            "category": "internal_error",
        }
    }
    assert [line["event"] for line in lines] == ["a request failed by a bug of ours", "request"]


async def test_a_limit_says_when_to_come_back(api: Stage) -> None:
    answer = await failing(api).client.post("/v2/try/2", json={"name": "x", "count": 1})

    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3")


UNREAD = "the body cannot be read: it must be JSON in UTF-8, not compressed, and not too deep"


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"json": {"count": 1}}, "name: it is missing"),
        ({"json": {"name": "x", "count": 0}}, "count: input should be greater than or equal to 1"),
        (
            {"json": {"name": 5, "count": "x"}},
            "name: input should be a valid string; "
            "count: input should be a valid integer, unable to parse string as an integer",
        ),
        ({"json": []}, "the body: it must be an object, sent with Content-Type: application/json"),
        ({}, "the body is missing"),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, "the body is not JSON"),
        (
            {"content": b"{}", "headers": {"Content-Type": "text/plain"}},
            "the body: it must be an object, sent with Content-Type: application/json",
        ),
        ({"content": b"[" * 100_000, "headers": {"Content-Type": "application/json"}}, UNREAD),
        ({"content": b'{"name":"\xe9"}', "headers": {"Content-Type": "application/json"}}, UNREAD),
    ],
)
async def test_what_is_wrong_in_a_request_is_said_with_its_field(
    api: Stage, body: dict[str, Any], sentence: str
) -> None:
    assert await failing(api).refused("POST", "/v2/try/0", status=400, **body) == sentence


async def test_paths_and_methods_that_do_not_exist_are_answered_in_the_same_shape(api: Stage) -> None:
    assert await api.refused("GET", "/v2/nothing", status=404) == "there is nothing at this path"
    assert await api.refused("DELETE", "/v2/numbers", status=405) == "this path knows other methods"


async def test_the_methods_of_a_path_are_all_named(api: Stage) -> None:
    answer = await api.client.put("/v2/numbers/12065550100")

    assert (answer.status_code, answer.headers["Allow"]) == (405, "DELETE, GET, PATCH")


async def test_errors_of_the_webhook_logs_have_the_shape_that_the_reference_gives_them(api: Stage) -> None:
    answer = await failing(api).client.get("/v2/logs/try")

    assert (answer.status_code, answer.json()) == (
        404, {"error": "not_found", "message": "there is no delivery 'x'"},
    )  # fmt: skip


def test_documented_errors_have_a_meaning_each() -> None:
    assert set(documented(404, 409, 429)) == {404, 409, 429}
