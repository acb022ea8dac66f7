import pytest

from sipflow.config.changes import changes
from sipflow.config.load import parse
from sipflow.errors import ConfigError
from sipflow.net.tracers import Settings

AGENTS = "agents: {echo: {handler: echo}}\n"


def read(text: str, **environ: str) -> Settings:
    return parse(AGENTS + text, file="s.yaml", environ=environ).trace


def test_messages_are_kept_when_nothing_is_said() -> None:
    assert read("") == Settings()


def test_every_setting_is_read() -> None:
    text = """
trace:
  enabled: true
  ring_mb: 64
  call_messages: 100
  hep: {collector: "10.0.0.9:9061", agent_id: 7, key: "${HEP_KEY}"}
  media: true
  media_s: 30
  media_calls: 5
"""
    assert read(text, HEP_KEY="open sesame") == Settings(
        ring_mb=64, call_messages=100, hep_collector="10.0.0.9:9061", hep_agent_id=7, hep_key="open sesame",
        media=True, media_s=30.0, media_calls=5,
    )  # fmt: skip


def test_a_collector_alone_will_do() -> None:
    assert read("trace: {hep: 10.0.0.9}") == Settings(hep_collector="10.0.0.9")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("trace: {hep: homer}", "s.yaml:2: trace.hep.collector: must be address:port, as in 10.0.0.9:9060"),
        ("trace: {ring_mb: 0}", "s.yaml:2: trace.ring_mb: it is not in 1..16384"),
        ("trace: {hep: {agent_id: -1}}", "s.yaml:2: trace.hep.agent_id: it is not in 0..4294967295"),
        ("trace: {ringmb: 3}", "s.yaml:2: trace.ringmb: unknown key; did you mean ring_mb?"),
    ],
)
def test_what_cannot_work_is_said_with_its_line_and_key(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(text)

    assert str(refused.value) == said


def test_a_change_is_for_a_restart() -> None:
    old, new = parse(AGENTS), parse(AGENTS + "trace: {hep: 10.0.0.9, ring_mb: 8}\n")

    assert changes(old, new).needs_restart == ("trace.ring_mb", "trace.hep")
