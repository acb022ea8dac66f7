from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sipflow.api.auth import Caller, Door, granted, requires
from sipflow.errors import ApiError, StoreError
from sipflow.store.database import Database
from sipflow.store.settings import Settings as StoreSettings
from sipflow.store.tokens import SCOPES, Tokens
from tests.api.stage import ADMIN, Stage

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class Clock:
    """Monotonic and wall time that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def wall(self) -> datetime:
        return NOON + timedelta(seconds=self.now - 1000.0)


async def refused(door: Door, authorization: str) -> tuple[str, str]:
    with pytest.raises(ApiError) as refusal:
        await door.open(authorization)
    assert refusal.value.status == 401
    return refusal.value.description, refusal.value.headers["WWW-Authenticate"]


def test_whoever_may_write_may_read_and_admin_may_everything() -> None:
    assert granted(["calls:write", "logs:read"]) == {"calls:write", "calls:read", "logs:read"}
    assert granted(["admin"]) == set(SCOPES)


async def test_a_token_of_the_configuration_opens_everything() -> None:
    door = Door(None, ["first token of all", "second token of all"])

    assert await door.open("Bearer second token of all") == Caller(
        "config:2", "token 2 of the configuration", frozenset(SCOPES)
    )
    assert await door.open("bearer first token of all") == Caller(
        "config:1", "token 1 of the configuration", frozenset(SCOPES)
    )


@pytest.mark.parametrize(
    ("authorization", "sentence", "challenge"),
    [
        ("", "send `Authorization: Bearer <token>`; `sipflow token create` makes a token", 'Bearer realm="sipflow"'),
        (
            "Basic YWxpY2U6c2VjcmV0",
            "the Authorization header is not `Bearer <token>`",
            'Bearer realm="sipflow", error="invalid_request"',
        ),
        (
            "Bearer ",
            "the Authorization header is not `Bearer <token>`",
            'Bearer realm="sipflow", error="invalid_request"',
        ),
        ("Bearer nope", "this token is unknown", 'Bearer realm="sipflow", error="invalid_token"'),
    ],
)  # fmt: skip
async def test_whoever_has_no_token_is_challenged_and_told_what_is_wrong(
    authorization: str, sentence: str, challenge: str
) -> None:
    assert await refused(Door(None, [ADMIN]), authorization) == (sentence, challenge)


async def test_a_token_of_the_store_opens_what_its_scopes_say(api: Stage) -> None:
    token, text = await Tokens(api.database).create("crm", ["calls:write"])
    caller = await Door(Tokens(api.database)).open(f"Bearer {text}")

    assert caller == Caller(token.id, "crm", frozenset({"calls:write", "calls:read"}))


async def test_a_token_that_ends_or_is_revoked_elsewhere_closes_within_seconds(api: Stage) -> None:
    clock = Clock()
    tokens = Tokens(api.database, wall=clock.wall)
    first, text = await tokens.create("first", ["admin"])
    second, ending = await tokens.create("second", ["admin"], expires_at=clock.wall() + timedelta(seconds=2))
    door = Door(tokens, clock=clock, wall=clock.wall)
    await door.open(f"Bearer {text}")
    await door.open(f"Bearer {ending}")
    await tokens.revoke(first.id)
    clock.now += 4.0

    assert (await refused(door, f"Bearer {text}"))[0].startswith(f"token {first.id} was revoked;")
    assert (await refused(door, f"Bearer {ending}"))[0].startswith(f"token {second.id} has expired;")


async def test_the_store_is_asked_once_in_a_while_and_not_for_every_request(
    sqlite_settings: StoreSettings, tmp_path: Path
) -> None:
    clock = Clock()
    database = await Database.open(sqlite_settings, folder=tmp_path)
    tokens = Tokens(database, wall=clock.wall)
    _, text = await tokens.create("x", ["admin"])
    door = Door(tokens, clock=clock, wall=clock.wall)
    before = await door.open(f"Bearer {text}")
    (noted,) = await tokens.everything()
    await database.close()
    after = await door.open(f"Bearer {text}")

    assert (before, noted.last_used_at) == (after, clock.wall())


async def test_strangers_cannot_fill_the_memory(api: Stage) -> None:
    door = Door(Tokens(api.database))
    for guess in range(1100):
        await refused(door, f"Bearer guess {guess}")

    assert len(door._known) == 1000


async def test_a_token_without_the_scope_is_forbidden_with_the_name_of_the_scope(api: Stage) -> None:
    text = await api.token("numbers:read")
    answer = await api.client.get("/v2/assistants", headers={"Authorization": f"Bearer {text}"})

    assert answer.status_code == 403
    assert answer.json()["detail"]["description"] == "this token may not do that: it needs the scope agents:read"
    assert answer.json()["detail"]["category"] == "insufficient_scope"
    assert answer.headers["WWW-Authenticate"] == (
        'Bearer realm="sipflow", error="insufficient_scope", scope="agents:read"'
    )


def test_a_scope_that_does_not_exist_cannot_be_required() -> None:
    with pytest.raises(ValueError, match="there is no scope calls:burn"):
        requires("calls:burn")


async def test_a_token_never_stands_in_the_log(api: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    text = await api.token("numbers:read")
    for authorization in (f"Bearer {text}", f"Bearer {text}x", f"Basic {text}", text):
        await api.client.get("/v2/numbers", headers={"Authorization": authorization})
        await api.client.post("/v2/tokens", headers={"Authorization": authorization}, json={"name": text})
    out = capsys.readouterr()

    assert "request" in out.out
    assert text not in out.out + out.err


async def test_a_store_that_is_away_is_said_and_is_not_the_token_s_fault(api: Stage) -> None:
    class Away(Tokens):
        async def find(self, text: str) -> None:
            raise StoreError("the store is away")

    with pytest.raises(StoreError):
        await Door(Away(api.database)).open("Bearer some token")
