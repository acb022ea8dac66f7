from pathlib import Path

import pytest

from sipflow.config.problems import Problem, Problems
from sipflow.config.resolve import LONGEST_SECRET_BYTES, is_secret, resolve
from sipflow.config.tree import Branch, Leaf, read_tree
from sipflow.config.walk import plain

ENVIRON = {"NAME": "pbx", "EMPTY": "", "PASSWORD": "hunter2", "FILE": "file:pw"}


def resolved(text: str, folder: Path = Path("."), problems: Problems | None = None) -> Branch:
    found = problems if problems is not None else Problems()
    root = resolve(read_tree(text, file="", problems=found), environ=ENVIRON, folder=folder, problems=found)
    if problems is None:
        assert found.found == []
    return root


def refusal(text: str, folder: Path = Path(".")) -> Problem:
    problems = Problems()
    resolved(text, folder, problems)
    (problem,) = problems.found
    return problem


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("${NAME}", "pbx"),
        ("sip:${NAME}.example.com;x=${NAME}", "sip:pbx.example.com;x=pbx"),
        ("${NOPE:-other}", "other"),
        ("${EMPTY:-other}", "other"),
        ("${NOPE:-}", ""),
        ("x${EMPTY}", "x"),
        ("$${NAME}", "${NAME}"),
        ("$NAME", "$NAME"),
        ("a$", "a$"),
        ("${NOPE:-a:-b}", "a:-b"),
    ],
)
def test_variables_are_put_in_anywhere_in_a_value(written: str, expected: str) -> None:
    assert plain(resolved(f"a: '{written}'\nb: ['{written}', {{c: '{written}'}}]")) == {
        "a": expected,
        "b": [expected, {"c": expected}],
    }


def test_a_value_remembers_which_variable_it_came_from() -> None:
    assert resolved("a: x${NAME}").entries["a"].node == Leaf(
        "x${NAME}", 1, text="xpbx", variables=(("pbx", "${NAME}"),)
    )


def test_a_missing_variable_is_named_with_line_and_key() -> None:
    assert refusal("sip:\n  listen:\n  - ${NOPE}") == Problem(
        3, "sip.listen", "the environment variable NOPE is not set"
    )


@pytest.mark.parametrize("written", ["${}", "${A B}", "${9}", "${NAME", "a${-b}"])
def test_a_broken_variable_says_how_to_write_one(written: str) -> None:
    assert "write $${ for the text itself" in refusal(f"a: '{written}'").text


def test_variables_are_not_read_in_keys() -> None:
    assert refusal("a:\n  '${NAME}': 1") == Problem(2, "a.${NAME}", "variables are read in values, not in keys")


def test_a_secret_is_read_from_a_file_beside_the_configuration_without_its_last_line_end(tmp_path: Path) -> None:
    (tmp_path / "pw").write_bytes(" säcret \r\n".encode("utf-8-sig"))

    assert plain(resolved("password: file:pw", tmp_path)) == {"password": " säcret "}
    assert plain(resolved(f"password: file:{tmp_path}/pw", Path("elsewhere"))) == {"password": " säcret "}


def test_only_secret_keys_read_files_and_never_because_a_variable_says_so(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("secret")

    assert plain(resolved("username: file:pw\npassword: ${FILE}", tmp_path)) == {
        "username": "file:pw",
        "password": "file:pw",
    }


def test_a_secret_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * (LONGEST_SECRET_BYTES + 1))
    (tmp_path / "bytes").write_bytes(b"\xff")
    (tmp_path / "empty").write_bytes(b"\n")
    (tmp_path / "lines").write_bytes(b"secret\n# of the PBX\n")
    for name, why in (
        ("none", "the secret file none cannot be read: No such file or directory"),
        (".", "the secret file . cannot be read: Is a directory"),
        ("a\\0b", "the secret file a?b cannot be read: not a path"),
        ("big", "the secret file big is larger than 65536 bytes"),
        ("bytes", "the secret file bytes is not UTF-8 text"),
        ("empty", "is empty; remove the key if there is none"),
        ("lines", "the secret file lines has more than one line; a secret is one"),
    ):
        assert refusal(f'password: "file:{name}"', tmp_path) == Problem(1, "password", why)


def test_an_empty_secret_is_a_problem() -> None:
    assert refusal("password: ${EMPTY}") == Problem(1, "password", "is empty; remove the key if there is none")


def test_no_repr_shows_what_was_put_in() -> None:
    assert "hunter2" not in repr(resolved("password: ${PASSWORD}\nusername: ${PASSWORD}\ntoken: hunter2"))


def test_keys_that_hold_secrets_are_known_by_their_last_word() -> None:
    secret = [
        "password",
        "key_passphrase",
        "api_key",
        "auth_token",
        "Token",
        "client_secret",
        "api-key",
        "apikey",
        "tokens",
    ]
    other = ["key", "username", "tokenizer", "password_hint", "client_key"]

    assert [key for key in secret + other if is_secret(key)] == secret
    assert is_secret("trace", "hep", "key")
