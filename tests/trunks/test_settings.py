import pytest

from sipflow.errors import LocalProtocolError
from sipflow.trunks.settings import HealthSettings, InboundAuth, RegisterSettings


@pytest.mark.parametrize("expires", [9, 0, -1, 86_401])
def test_an_expiry_outside_10_seconds_to_a_day_is_refused(expires: int) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        RegisterSettings(expires=expires)

    assert str(caught.value) == f"register.expires: {expires} is not in 10..86400 seconds"


@pytest.mark.parametrize("name", ["first_retry_s", "longest_retry_s", "rejected_retry_s", "longest_rejected_retry_s"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), float("nan")])
def test_a_pause_that_would_hammer_or_never_end_is_refused(name: str, value: float) -> None:
    with pytest.raises(LocalProtocolError, match=rf"register\.{name}: {value} is not in "):
        RegisterSettings(**{name: value})  # type: ignore[arg-type]


def test_health_has_bounds() -> None:
    with pytest.raises(LocalProtocolError, match=r"health\.interval_s: 1\.0 is not in 5\.\.3600 seconds"):
        HealthSettings(interval_s=1.0)
    with pytest.raises(LocalProtocolError, match=r"health\.misses: 0 is not in 1\.\.10"):
        HealthSettings(misses=0)


def test_inbound_credentials_are_whole_and_their_password_hidden() -> None:
    auth = InboundAuth("edge.example.com", "carrier", "secret")

    assert auth.algorithms == ("SHA-256", "MD5")
    assert "secret" not in repr(auth)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (("", "carrier", "x"), "inbound_auth.realm: it is empty, or holds characters that do not print"),
        (("edge", "a\r\nb", "x"), "inbound_auth.username: it is empty, or holds characters that do not print"),
        (("edge", "carrier", ""), "inbound_auth.password: it is empty; anybody could call"),
    ],
)
def test_wrong_inbound_credentials_are_refused(fields: tuple[str, str, str], message: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        InboundAuth(*fields)

    assert str(caught.value) == message


def test_unknown_or_missing_digest_algorithms_are_refused() -> None:
    for algorithms, what in ((("SHA-1",), "'SHA-1' is unknown"), ((), "there is none")):
        with pytest.raises(LocalProtocolError, match=rf"inbound_auth\.algorithms: {what}; choose from .*SHA-256"):
            InboundAuth("edge", "carrier", "x", algorithms)
