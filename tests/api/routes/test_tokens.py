from datetime import UTC, datetime, timedelta

from tests.api.stage import Stage


async def test_a_token_is_told_once_and_opens_what_its_scopes_say(api: Stage) -> None:
    made = (await api.post("/v2/tokens", {"name": "CRM", "scopes": ["numbers:read"]}))["response"]
    text = made.pop("token")
    own = {"Authorization": f"Bearer {text}"}
    listed = (await api.get("/v2/tokens"))["response"]["tokens"]

    assert listed == [made]
    assert (made["name"], made["scopes"], made["expires_at"]) == ("CRM", ["numbers:read"], None)
    await api.get("/v2/numbers", headers=own)
    await api.refused("GET", "/v2/assistants", status=403, headers=own)
    await api.refused("GET", "/v2/tokens", status=403, headers=own)


async def test_a_revoked_token_opens_nothing_from_the_next_request_on(api: Stage) -> None:
    made = (await api.post("/v2/tokens", {"name": "CRM", "scopes": ["numbers:read"]}))["response"]
    own = {"Authorization": f"Bearer {made['token']}"}
    await api.get("/v2/numbers", headers=own)
    answer = await api.delete(f"/v2/tokens/{made['id']}")

    assert answer == {"status": "ok"}
    assert (await api.refused("GET", "/v2/numbers", status=401, headers=own)).startswith(
        f"token {made['id']} was revoked"
    )
    assert (await api.get("/v2/tokens"))["response"]["tokens"][0]["revoked_at"] is not None


async def test_a_token_ends_when_it_was_said_to(api: Stage) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    made = (await api.post("/v2/tokens", {"name": "x", "scopes": ["admin"], "expires_at": soon.isoformat()}))[
        "response"
    ]
    past = {"name": "x", "scopes": ["admin"], "expires_at": "2020-01-01T00:00:00Z"}
    beyond = past | {"expires_at": "9999-12-31T23:00:00-14:00"}

    assert datetime.fromisoformat(made["expires_at"]) == soon
    said = await api.refused("POST", "/v2/tokens", status=400, json=beyond)
    assert said == "expires_at: lies outside of the years 1 to 9999"
    assert await api.refused("POST", "/v2/tokens", status=400, json=past) == "expires_at: it has passed already"


async def test_unknown_scopes_and_tokens_are_refused(api: Stage) -> None:
    sentence = await api.refused("POST", "/v2/tokens", status=400, json={"name": "x", "scopes": ["all"]})

    assert sentence.startswith("scopes: 'all' is unknown; choose from numbers:read, ")
    assert await api.refused("DELETE", "/v2/tokens/tok_none", status=404) == "there is no token 'tok_none'"
