from pathlib import Path

import pytest

from sipflow.config.text import LARGEST_BYTES, checked, decode, read_text
from sipflow.errors import ConfigError


def test_a_file_is_read_as_utf_8_with_or_without_its_mark(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes("\ufeffsip: {user_agent: Zürich}\n".encode())

    assert read_text(tmp_path / "a.yaml") == "sip: {user_agent: Zürich}\n"


def test_a_folder_a_missing_file_and_a_broken_path_are_told_apart(tmp_path: Path) -> None:
    for path, why in (
        (tmp_path, "this is a folder; name the YAML file in it"),
        (tmp_path / "none.yaml", "cannot be read: No such file or directory"),
        (tmp_path / "a\0b", "cannot be read: embedded null byte"),
    ):
        with pytest.raises(ConfigError) as caught:
            read_text(path)
        assert str(caught.value) == f"{path}: {why}"


def test_bytes_that_are_not_utf_8_are_refused_with_their_line() -> None:
    with pytest.raises(ConfigError) as caught:
        decode(b"a: b\nc: \xfc\n", file="a.yaml")

    assert str(caught.value) == "a.yaml:2: this is not UTF-8 text; save it as UTF-8"


def test_utf_16_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="this is UTF-16 text; save it as UTF-8"):
        decode("a: b".encode("utf-16"), file="a.yaml")


def test_what_is_too_large_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"#" * (LARGEST_BYTES + 1))

    with pytest.raises(ConfigError, match="larger than 1048576 bytes"):
        read_text(tmp_path / "a.yaml")
    with pytest.raises(ConfigError, match="larger than 1048576 bytes"):
        checked("#" * (LARGEST_BYTES + 1), file="a.yaml")


@pytest.mark.parametrize(("character", "name"), [("\0", "U+0000"), ("\x1b", "U+001B"), ("\udcff", "U+DCFF")])
def test_a_character_that_is_not_text_is_refused_with_its_line(character: str, name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        checked(f"a: b\n\nc: {character}\n", file="a.yaml")

    assert str(caught.value) == f"a.yaml:3: the character {name} is not text; remove it"
