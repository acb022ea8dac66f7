import pytest

from sipflow.errors import LocalProtocolError
from sipflow.trunks.crossing import CARRIED, NEVER, HeaderSettings, check_carried


def test_nothing_crosses_unless_it_is_said() -> None:
    assert not HeaderSettings().lets("X-Customer")


def test_names_stand_in_any_case_and_a_star_for_all_that_begin_so() -> None:
    settings = HeaderSettings(passed=("x-*", "User-to-User"), hide=("X-Secret*",))

    crosses = {name: settings.lets(name) for name in ("X-Customer", "x-a", "USER-TO-USER", "X-Secret-Id", "Diversion")}

    assert crosses == {"X-Customer": True, "x-a": True, "USER-TO-USER": True, "X-Secret-Id": False, "Diversion": False}


@pytest.mark.parametrize(
    "name", ["Via", "v", "Contact", "Call-ID", "User-Agent", "Server", "Record-Route", "Max-Forwards"]
)
def test_what_holds_a_leg_together_never_crosses(name: str) -> None:
    assert not HeaderSettings(passed=("*",)).lets(name)
    assert name.lower() in NEVER


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"passed": ("Via",)}, "headers.pass: Via is of one leg alone, and never crosses"),
        ({"passed": ("X Name",)}, "headers.pass: 'X Name' is no name of a header; write X-Name or X-*"),
        ({"hide": ("X-*-Y",)}, "headers.hide: 'X-*-Y' is no name of a header; write X-Name or X-*"),
        ({"passed": tuple(f"X-{n}" for n in range(65))}, "headers.pass: it has 65 names, and at most 64 are read"),
        ({"set": {"To": "x"}}, "headers.set: 'To' is no header that can be set"),
        ({"set": {"X-A": "a\r\nVia: b"}}, "headers.set: X-A is too long, or holds a character that does not print"),
        ({"topology": "open"}, "headers.topology: 'open' is not one of hidden, shown"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(words: dict[str, object], sentence: str) -> None:
    with pytest.raises(LocalProtocolError) as refused:
        HeaderSettings(**words)  # type: ignore[arg-type]

    assert str(refused.value) == sentence


def test_only_what_can_be_carried_may_be_named() -> None:
    check_carried(CARRIED)
    with pytest.raises(LocalProtocolError, match="carry: 'holds' is not one of hold, codec, info, messages, identity"):
        check_carried(("holds",))


def test_settings_can_be_told_apart_and_be_keys() -> None:
    assert HeaderSettings(set={"X-A": "1"}) != HeaderSettings(set={"X-A": "2"})
    assert len({HeaderSettings(set={"X-A": "1"}), HeaderSettings(set={"X-A": "1"})}) == 1
