from typing import Annotated, Literal

import pytest
from pydantic import AfterValidator, Field, SecretStr, ValidationError

from sipflow.config.problems import Problems
from sipflow.config.sentences import Model, keys_at, sentence
from sipflow.config.tree import read_tree
from sipflow.config.walk import locate, plain


def refuse(text: str) -> str:
    raise ValueError(f"must not be {text}")


class Inner(Model):
    expires: int = 3


class Outer(Model):
    name: str
    count: int = 1
    share: Annotated[float, Field(ge=0, le=1)] = 0.5
    switch: bool = False
    kind: Literal["reject", "silent"] = "reject"
    inner: Inner | None = Field(default=None, alias="register")
    items: tuple[str, ...] = ()
    password: SecretStr = SecretStr("")
    short: str = Field(default="", max_length=3)
    odd: Annotated[str, AfterValidator(refuse)] = ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1", "is missing"),
        ("name: b\nnam: c", "unknown key; did you mean name?"),
        ("name: b\nregister: {expire: 4}", "unknown key; did you mean expires?"),
        ("name: b\ncount: many", "must be a whole number, not 'many'"),
        ("name: b\ncount: 1.5", "must be a whole number, not '1.5'"),
        ("name: b\nshare: half", "must be a number, not 'half'"),
        ("name: b\nshare: nan", "must be a number, not 'nan'"),
        ("name: b\nshare: 1.5", "must be less than or equal to 1, not '1.5'"),
        ("name: b\nswitch: perhaps", "must be true or false, not 'perhaps'"),
        ("name: b\nkind: silence", "must be reject or silent, not 'silence'; did you mean silent?"),
        ("name: b\nkind: [a]", "must be reject or silent"),
        ("name: b\nregister: 3", "must be a mapping: lines of key: value, not '3'"),
        ("name: b\nitems: c", "must be a list, not 'c'"),
        ("name: [b]", "must be one value, not a list or a mapping"),
        ("name:", "has no value"),
        ("name: b\npassword: [c]", "must be one value, not a list or a mapping"),
        ("name: b\nshort: abcd", "must have at most 3 characters, not 'abcd'"),
        ("name: b\nodd: c", "must not be c"),
    ],
)
def test_every_error_is_a_sentence_of_the_configuration(text: str, expected: str) -> None:
    root = read_tree(text, file="", problems=Problems())
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(plain(root))

    detail = caught.value.errors(include_input=False)[0]
    node = locate(root, tuple(str(key) for key in detail["loc"]), 0)[2]
    assert sentence(detail, node, Outer) == expected


def test_valid_keys_are_found_below_a_key() -> None:
    assert keys_at(Outer, ("register",)) == ["expires"]
    assert keys_at(Outer, ("name",)) == []
    assert keys_at(Inner) == ["expires"]
