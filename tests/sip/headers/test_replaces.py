"""Replaces and Target-Dialog (RFC 3891 §6.1, RFC 4538 §7)."""

import pytest

from sipflow.errors import RemoteProtocolError
from sipflow.sip.headers.replaces import Replaces, TargetDialog


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("98732@a.example;from-tag=r33th4x0r;to-tag=ff87ff", Replaces("98732@a.example", "ff87ff", "r33th4x0r")),
        ("c@h ; to-tag=1 ; from-tag=2 ; early-only", Replaces("c@h", "1", "2", early_only=True)),
        ('c;to-tag="1";from-tag=2', Replaces("c", "1", "2")),
        ("c;to-tag=0;from-tag=0", Replaces("c", "", "")),  # a peer of RFC 2543 has no tag
    ],
)
def test_what_can_be_read(value: str, expected: Replaces) -> None:
    assert Replaces.parse(value) == expected
    assert Replaces.parse(str(expected)) == expected


@pytest.mark.parametrize(
    "value",
    ["", ";to-tag=1;from-tag=2", "c", "c;to-tag=1", "c;from-tag=1", "c;to-tag;from-tag=1", "a b;to-tag=1;from-tag=2",
     "c;to-tag=1;to-tag=2;from-tag=3", "c;to-tag=1;from-tag=2, d;to-tag=1;from-tag=2", 'c;to-tag="a b";from-tag=1'],
)  # fmt: skip
def test_what_cannot(value: str) -> None:
    with pytest.raises(RemoteProtocolError):
        Replaces.parse(value)


def test_a_target_dialog_is_read_and_written() -> None:
    target = TargetDialog("fa77as7dad8-sd98ajzz@host.example", "kkaz-", "6544")

    assert TargetDialog.parse(str(target)) == target
    assert str(target) == "fa77as7dad8-sd98ajzz@host.example;local-tag=kkaz-;remote-tag=6544"
    assert str(TargetDialog("c", "", "")) == "c;local-tag=0;remote-tag=0"


@pytest.mark.parametrize("value", ["", "c", "c;local-tag=1", "c;remote-tag=1", "c;local-tag=<;remote-tag=1"])
def test_a_broken_target_dialog_is_refused(value: str) -> None:
    with pytest.raises(RemoteProtocolError):
        TargetDialog.parse(value)
