from pathlib import Path

import pytest

from sipflow.agents.conduct import Conduct
from sipflow.agents.handlers import BUILT_IN
from sipflow.agents.spec import AgentSpec
from sipflow.audio.wav import wav_header
from sipflow.config.agent_section import agent_spec
from tests.config.sections import section_of, told

NAMES = ", ".join(sorted(BUILT_IN))


def read(text: str, folder: Path = Path()) -> tuple[AgentSpec | None, list[tuple[int, str, str]]]:
    section = section_of(text, folder=folder, environ={"KEY": "geheim"})
    return agent_spec(section, "desk"), told(section)


def test_a_built_in_handler_is_named_by_one_word() -> None:
    assert read("handler: echo") == (AgentSpec("desk", "echo", {}), [])


def test_a_function_gets_every_other_key_as_an_option() -> None:
    spec, problems = read(
        "handler: my.agents:front_desk\ngreeting: no\nturns: 3\nto: +12065550100\nkeys: {api_key: '${KEY}'}\n"
    )

    assert problems == []
    assert spec == AgentSpec(
        "desk",
        "my.agents:front_desk",
        {"greeting": "no", "turns": 3, "to": "+12065550100", "keys": {"api_key": "geheim"}},
    )
    assert "geheim" not in repr(spec)


def test_how_calls_go_is_said_beside_any_handler() -> None:
    spec, problems = read(
        "handler: echo\nis_recording: yes\nmax_duration: 600\nring_pause_seconds: 2\n"
        "initial_pause_seconds: 0.5\nallowed_idle_time_seconds: 30\n"
    )

    assert problems == []
    assert spec == AgentSpec(
        "desk",
        "echo",
        {},
        conduct=Conduct(is_recording=True, max_duration_s=600, ring_pause_s=2, initial_pause_s=0.5, allowed_idle_s=30),
    )


def test_how_calls_cannot_go_is_told_at_the_key() -> None:
    _, problems = read(
        "handler: echo\nring_pause_seconds: soon\ninitial_pause_seconds: -1\nmax_duration: {seconds: 5}\n"
    )

    assert sorted(problems) == [
        (2, "ring_pause_seconds", "must be a number, not 'soon'"),
        (3, "initial_pause_seconds", "it is seconds, 0 to 3600"),
        (4, "max_duration.seconds", "unknown key; did you mean duration_seconds?"),
    ]


def test_the_file_of_an_announcement_is_found_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav_header(0))

    spec, problems = read("handler: announce\nfile: a.wav\nrepeat: 2\n", tmp_path)

    assert problems == []
    assert spec == AgentSpec("desk", "announce", {"file": str(tmp_path / "a.wav"), "repeat": 2})


@pytest.mark.parametrize(
    ("text", "line", "key", "why"),
    [
        ("greeting: x", 1, "handler", "is missing"),
        ("handler: [echo]", 1, "handler", "must be one value, not a list or a mapping"),
        ("\nhandler: eco", 2, "handler", f"must be {NAMES} or module:function; did you mean echo?"),
        ("handler: 'my agents:desk'", 1, "handler", f"must be {NAMES} or module:function"),
        ("handler: 'os.system:'", 1, "handler", f"must be {NAMES} or module:function"),
        ("handler: announce", 1, "handler", "handler announce needs `file`: the path of a sound file"),
    ],
)
def test_what_cannot_run_is_told(text: str, line: int, key: str, why: str) -> None:
    spec, problems = read(text)

    assert spec is None
    assert problems == [(line, key, why)]


def test_every_file_of_a_stream_is_looked_for_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "sorry.wav").write_bytes(wav_header(0))
    text = "handler: stream\nurl: wss://bot/ws\ndialect: twilio\nfallback_file: sorry.wav\n"
    spec, problems = read(text, tmp_path)

    assert problems == []
    assert spec is not None
    assert spec.options["fallback_file"] == str(tmp_path / "sorry.wav")
    assert read(text + "ca_file: own.pem\n", tmp_path)[1] == [
        (1, "handler", f"handler stream: ca_file {tmp_path / 'own.pem'} cannot be used: No such file or directory")
    ]


def test_the_secret_of_a_stream_is_in_no_problem() -> None:
    text = "handler: stream\nurl: wss://bot/ws\ndialect: twilio\nheaders: {Authorization: '${KEY}', Host: '${KEY}'}\n"

    assert "geheim" not in str(read(text)[1])


def test_webhooks_of_an_agent_are_no_options_of_its_handler() -> None:
    spec, problems = read("handler: echo\nexternal_webhook_url: https://crm.example.com/calls\nevents_webhook_url:\n")

    assert problems == [(3, "events_webhook_url", "has no value")]
    assert spec is not None
    assert (spec.options, spec.fields) == ({}, {"external_webhook_url": "https://crm.example.com/calls"})


def test_a_webhook_that_is_no_url_is_told() -> None:
    _, problems = read("handler: echo\ninbound_call_webhook_url: crm.example.com\n")

    assert problems == [
        (
            2,
            "inbound_call_webhook_url",
            "must be a URL that begins with https:// (or http://, where webhooks.allow_http says so)",
        )
    ]
