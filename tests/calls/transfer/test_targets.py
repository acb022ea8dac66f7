import pytest

from sipflow.calls.transfer.targets import Target, read_target
from sipflow.errors import LocalProtocolError


@pytest.mark.parametrize(
    ("text", "region", "target"),
    [
        ("+12065550100", None, Target("+12065550100", "+12065550100", True)),
        (" +1 206-555-0100 ", None, Target(" +1 206-555-0100 ", "+12065550100", True)),
        ("(206) 555-0100", "US", Target("(206) 555-0100", "+12065550100", True)),
        ("tel:+1-206-555-0100", None, Target("tel:+1-206-555-0100", "+12065550100", True)),
        ("200", None, Target("200", "200", False)),
        ("*21#", None, Target("*21#", "*21#", False)),
        ("sales.desk", None, Target("sales.desk", "sales.desk", False)),
        ("sip:200@pbx.example.com", None, Target("sip:200@pbx.example.com", "sip:200@pbx.example.com", False)),
        (
            "sips:+12065550100@pbx.example.com:5071;transport=tcp",
            None,
            Target(
                "sips:+12065550100@pbx.example.com:5071;transport=tcp",
                "sips:+12065550100@pbx.example.com:5071;transport=tcp",
                False,
            ),
        ),
    ],
)
def test_targets_are_read_as_people_write_them(text: str, region: str | None, target: Target) -> None:
    assert read_target(text, region=region) == target


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "it is empty, too long, or holds characters that do not print"),
        ("sip:a@b\r\nX-Evil: 1", "it is empty, too long, or holds characters that do not print"),
        ("x" * 300, "it is empty, too long, or holds characters that do not print"),
        ("+1", "+ and country code, then 7 to 15 digits in all, make a telephone number"),
        ("two words", "write E.164 as in +12065550100, an extension, or sip:user@host"),
        ("sip:a@b?Replaces=x", "headers after ? are given apart"),
        ("https://example.com/", "only sip:, sips: and tel: can be called"),
    ],
)
def test_what_nobody_can_be_called_by_is_refused_with_the_reason(text: str, says: str) -> None:
    with pytest.raises(LocalProtocolError) as error:
        read_target(text)
    assert str(error.value) == f"target: {text[:80]!r} cannot be called: {says}"


def test_raw_targets_are_taken_as_they_are_but_for_what_would_break_a_message() -> None:
    assert read_target("##77,queue=4", raw=True) == Target("##77,queue=4", "##77,queue=4", False)
    for hostile in ("a b", "<sip:a@b>", 'a"b', "a\nb"):
        with pytest.raises(LocalProtocolError):
            read_target(hostile, raw=True)
