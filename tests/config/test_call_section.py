from pathlib import Path

import pytest

from sipflow.calls.settings import Settings
from sipflow.config.call_section import LogSettings, TopModel, call_settings, log_settings
from sipflow.config.sip_section import SipModel
from tests.config.sections import section_of, told


def test_nothing_said_is_the_rooms_own_defaults() -> None:
    assert call_settings(section_of("{}"), SipModel(), TopModel()) == Settings()
    assert log_settings(section_of("{}")) == LogSettings()


def test_the_settings_of_calls_come_from_three_places() -> None:
    settings = call_settings(
        section_of("max_calls: 5\nanswer_timeout_s: 20\nkeep_digits: true\n"),
        SipModel(unknown_source="silent", user_agent="edge"),
        TopModel(drain_s=1),
    )

    assert settings == Settings(
        unknown_source="silent", drain_s=1.0, max_calls=5, answer_timeout_s=20.0, keep_digits=True, user_agent="edge"
    )


def test_the_folder_of_sounds_starts_at_the_configuration() -> None:
    settings = call_settings(section_of("sounds: prompts\n", folder=Path("/etc/sipflow")), SipModel(), TopModel())

    assert settings is not None
    assert settings.sounds == "/etc/sipflow/prompts"


def test_limits_that_cannot_work_are_told() -> None:
    section = section_of("max_calls: 0\nanswer_timeout_s: -1\n")

    call_settings(section, SipModel(), TopModel())

    assert told(section) == [
        (1, "max_calls", "must be greater than or equal to 1, not '0'"),
        (2, "answer_timeout_s", "must be greater than 0, not '-1'"),
    ]


def test_logs_have_a_level_and_a_format() -> None:
    section = section_of("level: debug\nformat: jsn\n")

    assert log_settings(section) == LogSettings("debug", "auto")
    assert told(section) == [(2, "format", "must be auto, json or console, not 'jsn'; did you mean json?")]


@pytest.mark.parametrize(
    ("written", "speak"),
    [
        ("speak: [espeak-ng, --stdin, --stdout]\n", ("espeak-ng", "--stdin", "--stdout")),
        ("speak: /opt/speak\n", ("/opt/speak",)),
        ("max_calls: 5\n", ()),
    ],
)
def test_the_program_that_speaks_is_a_list_of_words_and_no_shell_reads_it(written: str, speak: tuple[str, ...]) -> None:
    settings = call_settings(section_of(written), SipModel(), TopModel())

    assert settings is not None
    assert settings.speak == speak
