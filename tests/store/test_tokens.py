from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from sipflow.errors import LocalProtocolError, NotFound
from sipflow.store.database import Database
from sipflow.store.tables import tokens as table
from sipflow.store.tokens import SCOPES, Token, Tokens

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def at_noon(database: Database) -> Tokens:
    return Tokens(database, wall=lambda: NOON)


async def test_a_token_is_found_by_its_text_and_kept_only_as_a_hash(database: Database) -> None:
    token, text = await at_noon(database).create(" crm ", ["calls:write", "calls:read", "calls:write"])
    async with database.read() as connection:
        row = (await connection.execute(select(table))).mappings().one()

    assert token == Token(token.id, "crm", ("calls:read", "calls:write"), NOON)
    assert await Tokens(database).find(text) == token
    assert [value for value in row.values() if text in str(value) or text.removeprefix("sipflow_") in str(value)] == []


async def test_tokens_are_256_random_bits_each(database: Database) -> None:
    texts = {(await at_noon(database).create("x", ["admin"]))[1] for _ in range(3)}

    assert {len(text.removeprefix("sipflow_")) for text in texts} == {43}
    assert len(texts) == 3


async def test_a_text_that_is_no_token_is_not_found(database: Database) -> None:
    await at_noon(database).create("x", ["admin"])

    assert await Tokens(database).find("sipflow_" + "A" * 43) is None
    assert await Tokens(database).find("\udc80\0") is None


async def test_a_revoked_token_stays_in_the_list_and_is_good_no_more(database: Database) -> None:
    first, _ = await at_noon(database).create("first", ["admin"])
    second, _ = await Tokens(database, wall=lambda: NOON + timedelta(hours=1)).create("second", ["admin"])
    later = Tokens(database, wall=lambda: NOON + timedelta(hours=2))
    await later.revoke(first.id)
    await Tokens(database, wall=lambda: NOON + timedelta(hours=3)).revoke(first.id)
    found = await later.everything()

    assert [(each.id, each.revoked_at) for each in found] == [
        (first.id, NOON + timedelta(hours=2)), (second.id, None),
    ]  # fmt: skip
    assert [each.good_at(NOON) for each in found] == [False, True]


async def test_a_token_is_good_until_it_ends(database: Database) -> None:
    token, _ = await at_noon(database).create("x", ["admin"], expires_at=NOON + timedelta(hours=1))

    assert token.good_at(NOON + timedelta(minutes=59))
    assert not token.good_at(NOON + timedelta(hours=1))


async def test_the_use_of_a_token_is_noted(database: Database) -> None:
    tokens = at_noon(database)
    token, text = await tokens.create("x", ["admin"])
    await tokens.used(token.id)
    found = await tokens.find(text)

    assert found is not None
    assert found.last_used_at == NOON


@pytest.mark.parametrize(
    ("name", "scopes", "sentence"),
    [
        ("", ["admin"], "name: it has 1 to 200 characters that print"),
        ("two\nlines", ["admin"], "name: it has 1 to 200 characters that print"),
        ("x", [], f"scopes: there is none; choose from {', '.join(SCOPES)}"),
        ("x", ["root"], f"scopes: 'root' is unknown; choose from {', '.join(SCOPES)}"),
    ],
)
async def test_a_token_needs_a_name_and_known_scopes(
    database: Database, name: str, scopes: list[str], sentence: str
) -> None:
    with pytest.raises(LocalProtocolError) as refusal:
        await Tokens(database).create(name, scopes)

    assert str(refusal.value) == sentence


async def test_what_is_not_there_cannot_be_revoked(database: Database) -> None:
    with pytest.raises(NotFound, match="there is no token 'tok_none'"):
        await Tokens(database).revoke("tok_none")
