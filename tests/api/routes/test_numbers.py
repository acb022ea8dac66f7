from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from sipflow.api.homes import Homes
from sipflow.trunks.snapshot import RegistrationSnapshot
from tests.api.stage import DECLARED_AGENT, DECLARED_NUMBER, Stage

NUMBER, SLUG = "+33782990580", "33782990580"
OFF = {"state": "off", "why": "this trunk does not register", "until": None, "retry_at": None}
IMPORT = {
    "workspace_id": "1710107690998x536152705164378100",
    "phone_number": NUMBER,
    "friendly_name": "My Custom Number",
    "termination_uri": "pbx.example.com",
}
ACCOUNT = {"trunk_username": "2001", "trunk_pwd": "a password", "uac_enabled": True}


async def imported(api: Stage, **fields: Any) -> Any:
    return (await api.post("/v2/custom-numbers", IMPORT | fields))["response"]


async def shown(api: Stage, slug: str = SLUG) -> Any:
    return await api.get(f"/v2/numbers/{slug}", params={"workspace": "main"})


@pytest.mark.parametrize("path", ["/v2/custom-numbers", "/custom-numbers", "/v2/custom-numbers/"])
async def test_the_request_of_the_reference_imports_a_number(api: Stage, path: str) -> None:
    answer = await api.post(path, IMPORT)

    key = answer["response"].pop("key")
    assert str(UUID(key)) == key
    assert answer == {"status": "ok", "response": {"phone_number": NUMBER, "slug": SLUG, "registration": OFF}}


async def test_a_number_is_shown_flat_with_every_field_of_the_reference(api: Stage) -> None:
    await imported(api, **ACCOUNT, sip_outbound_proxy="sip:10.0.0.5:5065;transport=tcp", sip_auth_username="2001-auth")
    detail = await shown(api)

    assert datetime.fromisoformat(detail.pop("created_at")).tzinfo is not None
    ours = ("declared", "registration", "inbound_agent", "outbound_agents", "trunk", "trunk_username", "has_password")
    added = {key: detail.pop(key) for key in (*ours, "trunk_settings", "origination_uri", "limits")}
    assert detail == {
        "slug": SLUG,
        "address_requirement": "none",
        "phone_number": NUMBER,
        "friendly_name": "My Custom Number",
        "is_sms_capable": False,
        "is_voice_capable": True,
        "iso_country": "FR",
        "locality": "",
        "sip_auth_username": "2001-auth",
        "sip_outbound_proxy": "sip:10.0.0.5:5065;transport=tcp",
        "sip_term_uri": "pbx.example.com",
        "uac_enabled": True,
        "uac_register_expires": 300,
        "sid": None,
        "provider_name": "custom",
        "region": "",
        "is_available": True,
        "agency_workspace_id": None,
        "workspace_id": "1710107690998x536152705164378100",
        "updated_at": None,
        "assistants": [],
    }
    assert added == {
        "declared": False,
        "registration": OFF,
        "inbound_agent": None,
        "outbound_agents": [],
        "trunk": NUMBER,
        "trunk_username": "2001",
        "has_password": True,
        "trunk_settings": {"region": "FR"},
        "origination_uri": "sip:203.0.113.5:5060",
        "limits": {},
    }


async def test_the_password_is_never_given_back(api: Stage) -> None:
    await imported(api, **ACCOUNT)
    texts = [(await api.client.get(path)).text for path in (f"/v2/numbers/{SLUG}", "/v2/numbers", "/v2/trunks")]

    assert [text for text in texts if "a password" in text or "never shown" in text] == []


async def test_fields_that_are_not_set_are_null_or_empty_as_in_the_reference(api: Stage) -> None:
    await imported(api)
    detail = await shown(api)

    assert (detail["sip_auth_username"], detail["sip_outbound_proxy"], detail["uac_register_expires"]) == (None,) * 3
    assert (detail["uac_enabled"], detail["has_password"], detail["trunk_username"]) == (False, False, None)


@pytest.mark.parametrize(
    ("snapshot", "state"),
    [
        (
            RegistrationSnapshot("registered", "calls reach us", until=datetime(2026, 11, 22, 8, 0, tzinfo=UTC)),
            {"state": "registered", "why": "calls reach us", "until": "2026-11-22T08:00:00Z", "retry_at": None},
        ),
        (
            RegistrationSnapshot("failed", "401 Unauthorized: wrong password?", None, datetime(2026, 1, 2, tzinfo=UTC)),
            {
                "state": "failed",
                "why": "401 Unauthorized: wrong password?",
                "until": None,
                "retry_at": "2026-01-02T00:00:00Z",
            },
        ),
    ],
)
async def test_a_number_says_how_its_registration_is_and_why(
    api: Stage, snapshot: RegistrationSnapshot, state: dict[str, object]
) -> None:
    api.registrations[NUMBER] = snapshot
    answer = await imported(api, **ACCOUNT)
    listed = (await api.get("/v2/numbers"))["response"]["phone_numbers"][-1]

    assert answer["registration"] == (await shown(api))["registration"] == listed["registration"] == state


async def test_numbers_are_listed_in_pages_in_the_envelope_of_the_reference(api: Stage) -> None:
    for last in range(3):
        await imported(api, phone_number=f"+3378299058{last}")
    answer = await api.get("/v2/numbers", params={"workspace": "main", "limit": 2, "offset": 1})

    assert answer["status"] == "ok"
    assert answer["response"]["pagination"] == {"total_records": 4, "limit": 2, "offset": 1}
    assert answer["response"]["phone_numbers"][0] == {
        "number": "+33782990580",
        "sid": None,
        "is_available": True,
        "slug": "33782990580",
        "friendly_name": "My Custom Number",
        "provider_name": "custom",
        "declared": False,
        "registration": OFF,
    }
    assert [each["number"] for each in answer["response"]["phone_numbers"]] == ["+33782990580", "+33782990581"]


@pytest.mark.parametrize(
    ("asked", "numbers"),
    [
        ({}, [DECLARED_NUMBER, NUMBER]),
        ({"is_available": "true"}, [NUMBER]),
        ({"is_available": False}, [DECLARED_NUMBER]),
    ],
)
async def test_is_available_filters_by_whether_an_inbound_agent_has_the_number(
    api: Stage, asked: dict[str, Any], numbers: list[str]
) -> None:
    await imported(api)
    response = (await api.get("/v2/numbers", params=asked))["response"]

    assert [each["number"] for each in response["phone_numbers"]] == numbers
    assert response["pagination"] == {"total_records": len(numbers), "limit": 20, "offset": 0}


@pytest.mark.parametrize("alias", ["termination_uri", "sip_term_uri", "sip_domain"])
async def test_the_sip_domain_has_three_names(api: Stage, alias: str) -> None:
    body: dict[str, Any] = {key: value for key, value in IMPORT.items() if key != "termination_uri"}
    await api.post("/v2/custom-numbers", body | {alias: "sip.example.net"})
    before = (await shown(api))["sip_term_uri"]
    await api.patch(f"/v2/numbers/{SLUG}", {alias: "sip2.example.net"})

    assert (before, (await shown(api))["sip_term_uri"]) == ("sip.example.net", "sip2.example.net")


async def test_names_of_one_field_must_not_say_two_things(api: Stage) -> None:
    both = {"termination_uri": "pbx.example.com", "sip_term_uri": "pbx.example.org"}
    sentence = "termination_uri and sip_term_uri: these are names of one field, and say different things"

    assert await api.refused("POST", "/v2/custom-numbers", status=400, json=IMPORT | both) == sentence
    await imported(api, sip_domain=IMPORT["termination_uri"])
    assert await api.refused("PATCH", f"/v2/numbers/{SLUG}", status=400, json=both) == sentence
    assert (await shown(api))["sip_term_uri"] == IMPORT["termination_uri"]


async def test_a_number_does_not_become_another_one(api: Stage) -> None:
    await imported(api)
    await api.patch(f"/v2/numbers/{SLUG}", await shown(api))
    said = await api.refused("PATCH", f"/v2/numbers/{SLUG}", status=400, json={"phone_number": "+12065550199"})

    assert said == "phone_number: a number cannot become another one; import that, and delete this"


@pytest.mark.parametrize("provider", [None, "custom", "twilio", "telnyx", "vonage", "ring_central"])
async def test_these_providers_need_a_termination_uri(api: Stage, provider: str | None) -> None:
    body = {"workspace_id": "main", "phone_number": NUMBER, "provider_name": provider}
    sentence = await api.refused("POST", "/v2/custom-numbers", status=400, json=body)

    assert sentence == "termination_uri: is missing: the host that calls go to, such as pbx.example.com"


@pytest.mark.parametrize(
    ("provider", "domain"), [("ringcx", "sip.ringcentral.com"), ("zoom", "sip.zoom.com"), ("five9", "")]
)
async def test_these_providers_need_none(api: Stage, provider: str, domain: str) -> None:
    await api.post("/v2/custom-numbers", {"workspace_id": "m", "phone_number": NUMBER, "provider_name": provider})
    detail = await shown(api)

    assert (detail["provider_name"], detail["sip_term_uri"]) == (provider, domain)


@pytest.mark.parametrize("provider", ["five9", "zoom"])
async def test_five9_and_zoom_also_take_identifiers_that_are_not_e164(api: Stage, provider: str) -> None:
    body = {"workspace_id": "main", "phone_number": "800123456789", "provider_name": provider}
    answer = await api.post("/v2/custom-numbers", body)

    assert (answer["response"]["phone_number"], answer["response"]["slug"]) == ("800123456789", "800123456789")


@pytest.mark.parametrize("provider", ["custom", "twilio", "telnyx", "vonage", "ring_central", "ringcx"])
async def test_all_other_providers_take_e164_only(api: Stage, provider: str) -> None:
    body = IMPORT | {"phone_number": "33782990580", "provider_name": provider}
    sentence = await api.refused("POST", "/v2/custom-numbers", status=400, json=body)

    assert sentence == "phone_number: '33782990580' is not E.164: did you mean +33782990580?"


async def test_ring_central_registers_without_being_told_to(api: Stage) -> None:
    await imported(api, provider_name="ring_central", trunk_username="2001", trunk_pwd="a password")

    assert api.directory.trunks[NUMBER].register is not None


@pytest.mark.parametrize("missing", ["trunk_username", "trunk_pwd"])
async def test_to_register_both_credentials_are_needed(api: Stage, missing: str) -> None:
    account = {key: value for key, value in ACCOUNT.items() if key != missing}
    sentence = await api.refused("POST", "/v2/custom-numbers", status=400, json=IMPORT | account)

    assert sentence.startswith(f"{missing}: is missing: to register")


@pytest.mark.parametrize(("expires", "status"), [(59, 400), (60, 200), (3600, 200), (3601, 400), (90.5, 400)])
async def test_a_registration_lasts_60_to_3600_whole_seconds(api: Stage, expires: float, status: int) -> None:
    body = IMPORT | ACCOUNT | {"uac_register_expires": expires}
    answer = await api.post("/v2/custom-numbers", body, status=status)

    if status == 200:
        assert (await shown(api))["uac_register_expires"] == expires
    else:
        assert answer["detail"]["description"].startswith("uac_register_expires: ")


async def test_a_number_is_imported_once(api: Stage) -> None:
    await imported(api)
    sentence = await api.refused("POST", "/v2/custom-numbers", status=409, json=IMPORT)

    assert sentence == f"the number {NUMBER} is imported already"


async def test_unknown_fields_are_let_pass_as_the_reference_does(api: Stage) -> None:
    await imported(api, region="eu", is_sms_capable=True)

    assert (await shown(api))["is_sms_capable"] is False


async def test_patch_changes_what_it_names_and_leaves_the_rest(api: Stage) -> None:
    await imported(api, **ACCOUNT, sip_auth_username="2001-auth")
    answer = await api.patch(f"/v2/numbers/{SLUG}", {"friendly_name": "Night desk", "uac_register_expires": 600})
    detail = await shown(api)

    assert answer == {"status": "ok"}
    assert (detail["friendly_name"], detail["uac_register_expires"]) == ("Night desk", 600)
    assert (detail["sip_auth_username"], detail["trunk_username"], detail["has_password"]) == (
        "2001-auth",
        "2001",
        True,
    )
    assert detail["updated_at"] is not None
    assert api.directory.trunks[NUMBER].password == "a password"


async def test_null_clears_what_is_shown_as_null_where_it_is_not_set(api: Stage) -> None:
    await imported(api, **ACCOUNT, sip_auth_username="2001-auth", sip_outbound_proxy="10.0.0.5:5065")
    await api.patch(f"/v2/numbers/{SLUG}", {"sip_auth_username": None, "sip_outbound_proxy": None, "trunk_pwd": None})
    detail = await shown(api)

    assert (detail["sip_auth_username"], detail["sip_outbound_proxy"], detail["has_password"]) == (None, None, True)


async def test_enabling_registration_later_needs_both_credentials(api: Stage) -> None:
    await imported(api)
    sentence = await api.refused("PATCH", f"/v2/numbers/{SLUG}", status=400, json={"uac_enabled": True})
    await api.patch(f"/v2/numbers/{SLUG}", ACCOUNT)

    assert sentence.startswith("trunk_username: is missing")
    assert (await shown(api))["uac_enabled"] is True


async def test_delete_takes_the_number_away_and_out_of_every_agent(api: Stage) -> None:
    await imported(api)
    agent = (await api.post("/v2/assistants", {"type": "outbound", "name": "Calls", "agent": {}}))["response"][
        "model_id"
    ]
    await api.put(f"/v2/assistants/{agent}/phone_numbers", {"phone_numbers": [NUMBER]})
    answer = await api.delete(f"/v2/numbers/{SLUG}")
    found = (await api.get(f"/v2/assistants/{agent}"))["response"]["assistants"][0]

    assert answer == {"status": "ok"}
    assert await api.refused("GET", f"/v2/numbers/{SLUG}", status=404) == f"there is no number '{SLUG}'"
    assert found["attached_phone_numbers"] == []


async def test_a_number_that_does_not_exist_is_not_found(api: Stage) -> None:
    for method in ("GET", "PATCH", "DELETE"):
        body: dict[str, Any] = {"json": {}} if method == "PATCH" else {}
        assert await api.refused(method, "/v2/numbers/1555", status=404, **body) == "there is no number '1555'"


async def test_a_sip_domain_cannot_be_taken_away_where_calls_need_one(api: Stage) -> None:
    await imported(api)
    refused = await api.refused("PATCH", f"/v2/numbers/{SLUG}", status=400, json={"sip_term_uri": ""})
    kept = (await shown(api))["sip_term_uri"]
    auto = {"sip_term_uri": "", "provider_name": "ringcx"}
    await api.client.patch(f"/v2/numbers/{SLUG}", json=auto)

    assert refused == "termination_uri: is missing: the host that calls go to, such as pbx.example.com"
    assert (kept, (await shown(api))["sip_term_uri"]) == ("pbx.example.com", "sip.ringcentral.com")


async def test_what_the_configuration_declares_is_shown_as_declared_and_cannot_be_changed(api: Stage) -> None:
    slug = DECLARED_NUMBER[1:]
    detail = await shown(api, slug)
    changed = await api.refused("PATCH", f"/v2/numbers/{slug}", status=409, json={"friendly_name": "Mine"})
    deleted = await api.refused("DELETE", f"/v2/numbers/{slug}", status=409)

    assert (detail["declared"], detail["workspace_id"], detail["trunk"]) == (True, "main", "pbx")
    assert (detail["inbound_agent"], detail["assistants"], detail["is_available"]) == (
        DECLARED_AGENT, [DECLARED_AGENT], False,
    )  # fmt: skip
    assert changed == deleted
    assert changed.startswith(f"the number {DECLARED_NUMBER} is declared in")


async def test_a_number_may_use_a_trunk_that_is_there(api: Stage) -> None:
    body = {"workspace_id": "main", "phone_number": NUMBER, "trunk": "pbx", "limits": {"max_calls": 2}}
    await api.post("/v2/custom-numbers", body)
    detail = await shown(api)
    both = await api.refused(
        "POST", "/v2/custom-numbers", status=400, json=body | {"phone_number": "+33782990581", "trunk_username": "x"}
    )

    assert (detail["trunk"], detail["sip_term_uri"], detail["limits"]) == ("pbx", "pbx.example.com", {"max_calls": 2})
    assert both == "trunk: give the name of a trunk or the fields of one, not both"


async def test_further_settings_of_the_trunk_can_be_set(api: Stage) -> None:
    settings = {"transport": "tcp", "accept_from": ["198.51.100.0/24"]}
    await imported(api, trunk_settings=settings)
    wrong = IMPORT | {"phone_number": "+33782990581", "trunk_settings": {"transport": "pigeon"}}

    assert (await shown(api))["trunk_settings"] == settings | {"region": "FR"}
    assert "transport: 'pigeon'" in await api.refused("POST", "/v2/custom-numbers", status=400, json=wrong)


@pytest.mark.parametrize(
    ("field", "value"),
    [("friendly_name", "two\nlines"), ("trunk_username", "a\r\nX-Evil: 1"), ("friendly_name", "x" * 201)],
)
async def test_texts_that_do_not_fit_a_line_are_refused(api: Stage, field: str, value: str) -> None:
    sentence = await api.refused("POST", "/v2/custom-numbers", status=400, json=IMPORT | {field: value})

    assert sentence.startswith(f"{field}: ")
    assert value not in sentence


async def test_a_number_says_where_it_is_at_home(api: Stage) -> None:
    api.context.homes = homes = Homes(api.database, patience_s=30.0)
    await imported(api, phone_number="+12012000100")
    at_home, declared = await shown(api, "12012000100"), await shown(api, DECLARED_NUMBER.removeprefix("+"))
    await homes.close()

    assert [at_home[key] for key in ("iso_country", "region", "locality")] == ["US", "NJ", "Jersey City"]
    assert [declared[key] for key in ("iso_country", "region", "locality")] == ["US", "Washington State", ""]
