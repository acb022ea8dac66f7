from pathlib import Path

from sipflow.config.section import Section
from sipflow.config.sentences import Model
from sipflow.errors import ConfigError, LocalProtocolError
from tests.config.sections import section_of, told


class Sample(Model):
    name: str = ""
    count: int = 1


class Strict(Model):
    name: str


def below(text: str, key: str) -> Section:
    child = section_of(text).child(key)
    assert child is not None
    return child


def test_a_child_knows_its_path_and_line() -> None:
    child = below("a:\n  b:\n    c: 1\n", "a").child("b")

    assert child is not None
    assert (child.path, child.line, child.keys, child.line_of("c"), child.line_of("x")) == (("a", "b"), 2, ("c",), 3, 2)


def test_an_absent_and_an_empty_mapping_have_no_keys() -> None:
    section = section_of("a:\nb: {}\n")

    assert [child.keys for key in "abc" if (child := section.child(key)) is not None] == [(), (), ()]
    assert told(section) == []


def test_what_is_no_mapping_is_a_problem_and_left_out_of_the_children() -> None:
    section = section_of("a: 1\nb: {c: 2}\n")

    assert [key for key, _ in section.children()] == ["b"]
    assert told(section) == [(1, "a", "must be a mapping: lines of key: value")]


def test_a_section_can_be_split_by_keys() -> None:
    section = section_of("a: 1\nb: 2\n")

    assert section.only(frozenset("a")).keys == ("a",)
    assert section.without(frozenset("a")).keys == ("b",)


def test_what_is_refused_is_reported_and_the_rest_is_read() -> None:
    section = section_of("name: x\ncount: many\nnam: y\n")

    assert section.validate(Sample) == Sample(name="x")
    assert told(section) == [
        (2, "count", "must be a whole number, not 'many'"),
        (3, "nam", "unknown key; did you mean name?"),
    ]


def test_what_must_be_there_and_is_not_leaves_nothing() -> None:
    child = below("a: {nam: y}", "a")

    assert child.validate(Strict) is None
    assert told(child) == [(1, "a.name", "is missing"), (1, "a.nam", "unknown key; did you mean name?")]


def test_a_value_whose_variable_is_missing_is_told_once() -> None:
    section = section_of("count: ${NOPE}\n")

    section.validate(Sample)
    section.attempt(fail, "wrong", at=("count",))

    assert told(section) == [(1, "count", "the environment variable NOPE is not set")]


def fail(text: str) -> str:
    raise LocalProtocolError(text)


def fail_at(key: str) -> str:
    raise ConfigError("is wrong", key=key)


def test_an_error_stands_at_the_key_that_it_names() -> None:
    section = below("a:\n  b:\n    c: 1\n  d: 2\n", "a")

    section.attempt(fail, "b.c: too small")
    section.attempt(fail, "d is too large", at=("b",))
    section.attempt(fail, "x is too large", at=("b",))
    section.attempt(fail, "nothing fits")
    section.attempt(fail_at, "a.d")
    section.attempt(fail_at, "elsewhere", at=("b", "c"))

    assert told(section) == [
        (3, "a.b.c", "too small"),
        (4, "a.d", "d is too large"),
        (2, "a.b", "x is too large"),
        (1, "a", "nothing fits"),
        (4, "a.d", "is wrong"),
        (3, "a.b.c", "is wrong"),
    ]


def test_an_error_is_told_without_secrets_and_variables() -> None:
    section = section_of("password: geheim\nhost: x${HOST}\n", environ={"HOST": "10.0.0.1"})

    section.attempt(fail, "password: 'geheim' is short")
    section.attempt(fail, "host: 'x10.0.0.1' is no host")
    section.attempt(fail, "geheim at 10.0.0.1")

    assert [text for _, _, text in told(section)] == [
        "'***' is short",
        "'x${HOST}' is no host",
        "*** at ${HOST}",
    ]


def test_what_succeeds_is_returned() -> None:
    assert section_of("a: 1").attempt(str.upper, "x") == "X"


def test_a_file_is_found_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("")
    section = section_of("key: key.pem\nca: none.pem\n", folder=tmp_path)

    assert section.file("key", "key.pem") == str(tmp_path / "key.pem")
    assert section.file("ca", "none.pem") == str(tmp_path / "none.pem")
    assert section.file("certificate", "") == ""
    assert told(section) == [(2, "ca", "this file cannot be read: No such file or directory")]


def test_options_are_plain_values() -> None:
    assert section_of("a: 1\nb: 'x'\nc: [true]").options() == {"a": 1, "b": "x", "c": [True]}
