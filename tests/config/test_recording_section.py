from pathlib import Path

from sipflow.calls.recorder import Settings
from sipflow.config.load import parse
from sipflow.config.recording_section import recording_settings
from tests.config.sections import section_of, told

FOLDER = Path("/etc/sipflow")


def test_nothing_said_is_a_folder_beside_the_configuration() -> None:
    assert recording_settings(section_of("{}", folder=FOLDER)) == Settings(folder="/etc/sipflow/recordings")


def test_every_key_has_its_setting() -> None:
    text = (
        "folder: /var/lib/sipflow/calls\n"
        "format: ogg\n"
        "automatic: yes\n"
        "link_hours: 2\n"
        "link_secret: 0123456789abcdef\n"
        "public_url: https://sip.example.com\n"
    )

    assert recording_settings(section_of(text, folder=FOLDER)) == Settings(
        "/var/lib/sipflow/calls", "ogg", True, 2.0, "0123456789abcdef", "https://sip.example.com"
    )


def test_a_value_that_cannot_work_is_told_with_its_key_and_a_secret_is_not() -> None:
    section = section_of("format: mp3\nlink_hours: 0\nlink_secret: shortish\n")
    recording_settings(section)

    assert told(section)[0] == (1, "format", "must be wav or ogg, not 'mp3'")
    assert [key for _, key, _ in told(section)] == ["format", "link_hours"]
    assert not any("shortish" in text for _, _, text in told(section))


def test_it_is_a_section_of_the_configuration() -> None:
    configuration = parse("recordings: {automatic: yes, folder: calls}\n", folder=FOLDER, environ={})

    assert configuration.recordings == Settings(folder="/etc/sipflow/calls", automatic=True)
