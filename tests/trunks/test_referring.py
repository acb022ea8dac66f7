import pytest

from sipflow.errors import LocalProtocolError
from sipflow.trunks.fields import TrunkFields, fields_of, trunk_from_fields
from sipflow.trunks.referring import ReferSettings
from sipflow.trunks.trunk import Trunk


def test_a_trunk_refuses_refer_and_sends_it_unless_told_otherwise() -> None:
    assert Trunk("pbx", sip_domain="pbx.example.com").refer == ReferSettings("refuse", "auto", False, False)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"send": "always"}, "refer.send: 'always' is not one of auto, never"),
        ({"receive": "yes"}, "refer.receive: 'yes' is not one of refuse, offer, follow"),
    ],
)
def test_unknown_words_are_told_with_their_key(values: dict[str, str], says: str) -> None:
    with pytest.raises(LocalProtocolError) as error:
        ReferSettings(**values)  # type: ignore[arg-type]
    assert str(error.value) == says


def test_it_can_be_said_over_the_api_and_is_shown_again() -> None:
    given = TrunkFields(sip_domain="pbx.example.com", more={"refer": {"send": "never", "replaces": True}})
    trunk = trunk_from_fields("pbx", given)

    assert trunk is not None
    assert trunk.refer == ReferSettings(send="never", replaces=True)
    assert fields_of(trunk).more["refer"] == {"send": "never", "replaces": True}
