import pytest

from sipflow.sip.hop import Hop


@pytest.mark.parametrize(("transport", "reliable"), [("udp", False), ("tcp", True), ("tls", True)])
def test_all_but_udp_retransmit_by_themselves(transport: str, reliable: bool) -> None:
    assert Hop(transport, "a", 5060).reliable is reliable


def test_a_hop_is_shown_as_transport_host_and_port() -> None:
    assert str(Hop("udp", "192.0.2.1", 5060, "192.0.2.2", 5070, 3)) == "udp:192.0.2.1:5060"
    assert str(Hop("tls", "2001:db8::1", 5061)) == "tls:[2001:db8::1]:5061"


def test_the_near_end_may_be_unknown() -> None:
    assert Hop("tcp", "a", 1) == Hop("tcp", "a", 1, local_host="", local_port=0, connection=0, server_name="")
