import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sipflow.api.settings import Settings
from sipflow.store.settings import Settings as StoreSettings
from tests.api.stage import DECLARED_AGENT, DECLARED_NUMBER, Stage, stage

NUMBERS = ["+16286666348", "+12131231214"]
SLUGS = ["16286666348", "12131231214"]
# Every field of the reference that a client may send, with a value of its own.
AGENT: dict[str, Any] = {
    "timezone": "America/New_York",
    "prompt": "You are kind.\nAsk {name}.",
    "greeting_message": "Hello!",
    "greeting_message_mode": "human",
    "greeting_message_human_talk_timeout": 5,
    "llm": "gpt-4.1",
    "language": "en-US",
    "voice_id": "voice-1",
    "voice_prompt": "calm",
    "voice_stability": 1,
    "voice_similarity_boost": 1,
    "voice_optimise_streaming_latency": 2,
    "voice_style": 0,
    "voice_use_speaker_boost": True,
    "voice_synthesizer": "eleven_flash_v2_5",
    "voice_volume": 0.9,
    "voice_speed": 1.1,
    "global_audio_tags": "[calm]",
    "ring_pause_seconds": 2,
    "initial_pause_seconds": 1,
    "allowed_idle_time_seconds": 30,
    "send_user_idle_reminders": True,
    "reminder_after_idle_time_seconds": 8,
    "reminder_after_idle_message": "Are you there?",
    "transcriber_keywords": ["sipflow"],
    "transcriber_provider": "deepgram",
    "transcriber_speech_recognition": "faster",
    "background_noise": {"enabled": True, "type": "cafe", "volume": 10},
    "noise_cancellation": "advanced",
    "suppression_level": 80.0,
    "interruption_fade_out": 5,
    "min_words_to_interrupt": "2",
    "realistic_filler_words": True,
    "is_transcript_disabled": False,
    "redact_pii": True,
    "synthesizer_filter_words": ["um"],
    "end_call_reasons": ["bye"],
    "end_call_reasons_v2": [{"reason": "bye", "closing_message_mode": "static", "closing_message": "Bye!"}],
    "patience_level": "low",
    "fallback_voice_id": "voice-2",
    "fallback_provider": "deepgram",
    "fallback_model": "aura",
    "consent_message": "May we record?",
    "is_consent_enabled": True,
}
FULL: dict[str, Any] = {
    "type": "inbound",
    "name": "Front desk",
    "description": "Takes calls.\nKindly.",
    "external_webhook_url": "https://crm.example.com/after",
    "inbound_call_webhook_url": "https://crm.example.com/before",
    "is_recording": True,
    "max_duration": {"duration_seconds": 600, "is_enabled": True},
    "voicemail_message": {"enabled": True, "mode": "exact_message", "exact_message": "Call us back."},
    "end_call_reasons": ["old"],
    "agent": AGENT,
}
LEAST = {"type": "outbound", "name": "Calls", "agent": {}}


async def created(api: Stage, **fields: Any) -> str:
    return str((await api.post("/v2/assistants", LEAST | fields))["response"]["model_id"])


async def shown(api: Stage, model_id: str, **params: Any) -> Any:
    (found,) = (await api.get(f"/v2/assistants/{model_id}", params=params))["response"]["assistants"]
    return found


async def with_numbers(api: Stage) -> None:
    for number in NUMBERS:
        await api.post("/v2/custom-numbers", {"phone_number": number, "trunk": "pbx"})


async def test_create_answers_as_the_reference_does(api: Stage) -> None:
    await with_numbers(api)
    answer = await api.post("/v2/assistants", FULL | {"phone_number": NUMBERS[0]})

    model_id = answer["response"]["model_id"]
    assert answer == {
        "status": "ok",
        "response": {"model_id": model_id},
        "details": {"phone": NUMBERS[0], "voice": "voice-1"},
    }
    assert (await shown(api, model_id))["phone_number"] == NUMBERS[0]


async def test_every_field_of_the_reference_is_given_back_as_it_was_sent(api: Stage) -> None:
    model_id = await created(api, **FULL)
    found = await shown(api, model_id)

    assert {key: found[key] for key in FULL} == FULL


async def test_an_agent_is_an_array_of_one_in_the_envelope_of_lists(api: Stage) -> None:
    model_id = await created(api)
    answer = await api.get(f"/v2/assistants/{model_id}")

    created_at = answer["response"]["assistants"][0].pop("created_at")
    assert created_at.endswith("Z")
    assert answer == {
        "status": "ok",
        "response": {
            "pagination": {"total_records": 1, "limit": 1, "offset": 0},
            "assistants": [
                {
                    "model_id": model_id,
                    "type": "outbound",
                    "name": "Calls",
                    "description": "",
                    "phone_number": "",
                    "agent": {"timezone": "Europe/Berlin"},
                    "attached_phone_numbers": [],
                    "handler": "echo",
                    "options": {},
                    "declared": False,
                    "updated_at": None,
                }
            ],
        },
    }


@pytest.mark.parametrize("path", ["/v2/assistants", "/v2/assistants/"])
async def test_agents_are_listed_with_and_without_a_slash_at_the_end(api: Stage, path: str) -> None:
    ids = [await created(api, name=f"Agent {each}") for each in range(3)]
    answer = await api.get(path, params={"limit": 2, "offset": 1})

    assert answer["response"]["pagination"] == {"total_records": 4, "limit": 2, "offset": 1}
    assert [each["model_id"] for each in answer["response"]["assistants"]] == ids[:2]


async def test_actions_are_there_when_they_are_asked_for(api: Stage) -> None:
    model_id = await created(api)
    plain, whole = await shown(api, model_id), await shown(api, model_id, include_actions=True)

    assert "actions" not in plain
    assert (whole["actions"], whole["input_variables"]) == ([], [])


async def test_put_changes_what_it_names_down_to_the_fields_of_agent(api: Stage) -> None:
    model_id = await created(api, **FULL)
    answer = await api.put(
        f"/v2/assistants/{model_id}", {"name": "Night desk", "agent": {"ring_pause_seconds": 3, "my_own": [1]}}
    )
    found = await shown(api, model_id)

    assert answer == {"status": "ok", "response": {"model_id": model_id}, "details": {"phone": "", "voice": "voice-1"}}
    wanted = FULL | {"name": "Night desk", "agent": AGENT | {"ring_pause_seconds": 3, "my_own": [1]}}
    assert {key: found[key] for key in wanted} == wanted
    assert found["updated_at"] is not None


async def test_changes_at_once_leave_each_others_fields_of_agent(api: Stage) -> None:
    model_id = await created(api, **FULL)
    names = [f"my_{number}" for number in range(5)]
    await asyncio.gather(*(api.put(f"/v2/assistants/{model_id}", {"agent": {name: name}}) for name in names))

    assert (await shown(api, model_id))["agent"] == AGENT | {name: name for name in names}


async def test_put_with_a_phone_number_gives_the_agent_that_number_instead(api: Stage) -> None:
    await with_numbers(api)
    model_id = await created(api, type="inbound", phone_number=NUMBERS[0])
    await api.put(f"/v2/assistants/{model_id}", {"phone_number": NUMBERS[1]})
    second = (await shown(api, model_id))["attached_phone_numbers"]
    await api.put(f"/v2/assistants/{model_id}", {"phone_number": ""})

    assert second == [{"number": NUMBERS[1], "sid": None, "slug": SLUGS[1]}]
    assert (await shown(api, model_id))["attached_phone_numbers"] == []


async def test_delete_says_that_it_is_done_and_frees_the_numbers(api: Stage) -> None:
    await with_numbers(api)
    model_id = await created(api, type="inbound", phone_number=NUMBERS[0])
    answer = await api.delete(f"/v2/assistants/{model_id}")

    assert answer == {"status": "ok", "response": {"answer": f"agent {model_id} is deleted"}}
    assert await api.refused("GET", f"/v2/assistants/{model_id}", status=404) == f"there is no agent '{model_id}'"
    assert (await api.get(f"/v2/numbers/{SLUGS[0]}"))["is_available"] is True


@pytest.mark.parametrize("body", [{"phone_numbers": NUMBERS}, {"phone_number_slugs": SLUGS}])
async def test_numbers_are_attached_by_number_or_by_slug(api: Stage, body: dict[str, Any]) -> None:
    await with_numbers(api)
    model_id = await created(api)
    answer = await api.put(f"/v2/assistants/{model_id}/phone_numbers", body)

    assert answer == {"status": "ok"}
    assert (await shown(api, model_id))["attached_phone_numbers"] == [
        {"number": NUMBERS[0], "sid": None, "slug": SLUGS[0]},
        {"number": NUMBERS[1], "sid": None, "slug": SLUGS[1]},
    ]
    assert (await api.get(f"/v2/numbers/{SLUGS[0]}"))["outbound_agents"] == [model_id]


@pytest.mark.parametrize(
    "body",
    [{}, {"phone_numbers": None}, {"phone_numbers": NUMBERS, "phone_number_slugs": SLUGS}],
)
async def test_numbers_come_by_number_or_by_slug_and_not_both(api: Stage, body: dict[str, Any]) -> None:
    model_id = await created(api)
    sentence = await api.refused("PUT", f"/v2/assistants/{model_id}/phone_numbers", status=400, json=body)

    assert sentence == "give either phone_numbers or phone_number_slugs, not both and not none"


async def test_attaching_to_nobody_or_what_is_not_there_is_not_found(api: Stage) -> None:
    await with_numbers(api)
    model_id = await created(api)
    nobody = await api.refused(
        "PUT", "/v2/assistants/nobody/phone_numbers", status=404, json={"phone_numbers": NUMBERS}
    )
    nothing = await api.refused(
        "PUT", f"/v2/assistants/{model_id}/phone_numbers", status=404, json={"phone_numbers": [*NUMBERS, "+1555"]}
    )

    assert (nobody, nothing) == ("there is no agent 'nobody'", "there is no number '+1555'")
    assert (await shown(api, model_id))["attached_phone_numbers"] == []


async def test_detach_takes_one_number_away_at_once(api: Stage) -> None:
    await with_numbers(api)
    model_id = await created(api)
    await api.put(f"/v2/assistants/{model_id}/phone_numbers", {"phone_numbers": NUMBERS})
    answer = await api.delete(f"/v2/assistants/{model_id}/phone_numbers/{SLUGS[0]}")
    again = await api.refused("DELETE", f"/v2/assistants/{model_id}/phone_numbers/{SLUGS[0]}", status=404)

    assert answer == {"status": "ok"}
    assert [each["slug"] for each in (await shown(api, model_id))["attached_phone_numbers"]] == [SLUGS[1]]
    assert again == f"agent {model_id} does not have the number {NUMBERS[0]}"


async def test_a_number_has_one_inbound_agent_and_any_number_of_outbound_ones(api: Stage) -> None:
    await with_numbers(api)
    first, second = [await created(api, type="inbound") for _ in range(2)]
    callers = [await created(api, type="outbound") for _ in range(2)]
    for model_id in (first, *callers):
        await api.put(f"/v2/assistants/{model_id}/phone_numbers", {"phone_numbers": NUMBERS})
    sentence = await api.refused(
        "PUT", f"/v2/assistants/{second}/phone_numbers", status=409, json={"phone_numbers": NUMBERS}
    )

    assert sentence.startswith(f"the number {NUMBERS[0]} is answered by agent {first} already")
    assert (await api.get(f"/v2/numbers/{SLUGS[0]}"))["assistants"] == [first, *callers]


async def test_two_hundred_clients_at_once_leave_a_number_with_one_owner(
    store_settings: StoreSettings, tmp_path: Path
) -> None:
    async with stage(store_settings, tmp_path) as api:
        await everybody_wants_one_number(api)


async def everybody_wants_one_number(api: Stage) -> None:
    await with_numbers(api)
    agents = [await created(api, type="inbound", name=f"Agent {each}") for each in range(200)]
    answers = await asyncio.gather(
        *(
            api.client.put(f"/v2/assistants/{each}/phone_numbers", json={"phone_numbers": NUMBERS[:1]})
            for each in agents
        )
    )
    won = [agent for agent, answer in zip(agents, answers, strict=True) if answer.status_code == 200]

    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 199
    assert (await api.get(f"/v2/numbers/{SLUGS[0]}"))["assistants"] == won


async def test_an_agent_without_handler_echoes(api: Stage) -> None:
    assert (await shown(api, await created(api)))["handler"] == "echo"


async def test_an_agent_without_handler_gets_that_of_the_default_agent(api: Stage) -> None:
    api.context.settings = replace(Settings(), default_agent=DECLARED_AGENT)
    model_id = await created(api)

    assert api.directory.agent(model_id).options == api.directory.agent(DECLARED_AGENT).options
    assert (await shown(api, model_id))["handler"] == "stream"


@pytest.mark.parametrize(
    ("handler", "options", "sentence"),
    [
        ("ecco", {}, "handler: handler 'ecco' is none of echo, announce, "),
        ("this:poem", {}, "handler: 'this:poem' is none of echo, announce, "),
        ("stream", {}, "handler: "),
        ("announce", {"file": "missing.wav"}, "handler: "),
    ],
)
async def test_a_handler_that_cannot_work_is_refused_with_a_sentence(
    api: Stage, handler: str, options: dict[str, Any], sentence: str
) -> None:
    model_id = await created(api)
    body = {"handler": handler, "options": options}
    new = await api.refused("POST", "/v2/assistants", status=400, json=LEAST | body)
    changed = await api.refused("PUT", f"/v2/assistants/{model_id}", status=400, json=body)

    assert new.startswith(sentence)
    assert changed.startswith(sentence)
    assert (await shown(api, model_id))["handler"] == "echo"


async def test_a_function_that_the_configuration_names_can_be_named(api: Stage) -> None:
    api.directory.declare(trunks={}, numbers=[], agents=[("mine", "tests.api.stage:desk", {})])

    assert (await shown(api, await created(api, handler="tests.api.stage:desk")))["handler"] == "tests.api.stage:desk"


async def test_options_that_may_be_secrets_are_not_shown_and_may_be_sent_back_hidden(api: Stage) -> None:
    options = {"url": "wss://bot.example.com/media?key=1", "sign_secret": "a secret of its own", "dialect": "twilio"}
    model_id = await created(api, handler="stream", options=options)
    hidden = (await shown(api, model_id))["options"]
    await api.put(f"/v2/assistants/{model_id}", {"options": hidden | {"dialect": "telnyx"}})

    assert hidden == {"url": "***", "sign_secret": "***", "dialect": "twilio"}
    assert api.directory.agent(model_id).options == options | {"dialect": "telnyx"}


async def test_another_handler_does_not_get_the_options_of_the_old_one(api: Stage) -> None:
    model_id = await created(api, handler="stream", options={"url": "wss://bot.example.com/media", "dialect": "twilio"})
    await api.put(f"/v2/assistants/{model_id}", {"handler": "echo"})

    assert api.directory.agent(model_id).options == {}


async def test_a_message_for_machines_needs_an_agent_that_waits_for_a_voice(api: Stage) -> None:
    body = LEAST | {"voicemail_message": {"enabled": True}, "agent": {"greeting_message_mode": "agent_static"}}
    sentence = await api.refused("POST", "/v2/assistants", status=400, json=body)

    assert sentence == "voicemail_message: it needs agent.greeting_message_mode to be human"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("min_words_to_interrupt", "6"),
        ("greeting_message_mode", "robot"),
        ("noise_cancellation", "most"),
        ("timezone", "Europe/Atlantis"),
        ("ring_pause_seconds", -1),
        ("background_noise", {"type": "train"}),
    ],
)
async def test_what_the_reference_does_not_know_is_refused_with_the_name_of_the_field(
    api: Stage, field: str, value: object
) -> None:
    sentence = await api.refused("POST", "/v2/assistants", status=400, json=LEAST | {"agent": {field: value}})

    assert sentence.startswith(f"agent.{field}")


@pytest.mark.parametrize("field", ["type", "name"])
async def test_type_and_name_are_needed(api: Stage, field: str) -> None:
    body = {key: value for key, value in LEAST.items() if key != field}

    assert await api.refused("POST", "/v2/assistants", status=400, json=body) == f"{field}: it is missing"


async def test_an_agent_that_could_not_have_its_number_is_not_created(api: Stage) -> None:
    body = LEAST | {"type": "inbound", "phone_number": DECLARED_NUMBER}
    await api.refused("POST", "/v2/assistants", status=409, json=body)
    missing = await api.refused("POST", "/v2/assistants", status=404, json=body | {"phone_number": "+1555"})

    assert missing == "there is no number '+1555'"
    assert (await api.get("/v2/assistants"))["response"]["pagination"]["total_records"] == 1


async def test_an_agent_of_the_configuration_is_shown_without_secrets_and_cannot_be_changed(api: Stage) -> None:
    found = await shown(api, DECLARED_AGENT)
    changed = await api.refused("PUT", f"/v2/assistants/{DECLARED_AGENT}", status=409, json={"name": "Mine"})
    deleted = await api.refused("DELETE", f"/v2/assistants/{DECLARED_AGENT}", status=409)

    assert (found["declared"], found["handler"], found["options"]) == (
        True,
        "stream",
        {"url": "***", "dialect": "twilio", "sign_secret": "***"},
    )
    assert found["attached_phone_numbers"] == [{"number": DECLARED_NUMBER, "sid": None, "slug": DECLARED_NUMBER[1:]}]
    assert changed == deleted
    assert changed.startswith(f"the agent {DECLARED_AGENT} is declared in")


@pytest.mark.parametrize("value", [float("nan"), "nul \0", [[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]])
async def test_values_that_no_database_keeps_are_refused(api: Stage, value: object) -> None:
    import json

    body = json.dumps(LEAST | {"agent": {"anything": value}}).encode()
    headers = {"Content-Type": "application/json"}

    assert (await api.refused("POST", "/v2/assistants", status=400, content=body, headers=headers)).startswith(
        "agent: "
    )
