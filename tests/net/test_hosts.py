import os
from pathlib import Path

from sipflow.net.hosts import Hosts
from sipflow.net.records import Answer, Question

TEXT = """
127.0.0.1 localhost box   # this machine
10.1.2.3   PBX.example.com. pbx
2001:db8::5 pbx
not-an-address elsewhere
10.9.9.9
"""


def hosts(path: Path, now: list[float]) -> Hosts:
    return Hosts(lambda: now[0], str(path))


def test_a_name_of_the_file_has_addresses_and_no_services(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text(TEXT)
    known = hosts(path, [0.0])

    assert known.answer(Question("A", "pbx.example.com")) == Answer(addresses=("10.1.2.3",))
    assert known.answer(Question("A", "pbx")) == Answer(addresses=("10.1.2.3",))
    assert known.answer(Question("AAAA", "pbx")) == Answer(addresses=("2001:db8::5",))
    assert known.answer(Question("AAAA", "box")) == Answer()
    assert known.answer(Question("SRV", "_sip._udp.pbx")) == Answer()
    assert known.answer(Question("NAPTR", "pbx")) == Answer()
    assert known.answer(Question("A", "elsewhere")) is None
    assert known.answer(Question("SRV", "_sip._udp.example.com")) is None


def test_localhost_is_loopback_even_without_a_file(tmp_path: Path) -> None:
    known = hosts(tmp_path / "none", [0.0])

    assert known.answer(Question("A", "localhost")) == Answer(addresses=("127.0.0.1",))
    assert known.answer(Question("AAAA", "pbx.localhost")) == Answer(addresses=("::1",))
    assert known.answer(Question("A", "pbx")) is None


def test_a_changed_file_is_read_again_within_five_seconds(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("10.0.0.1 pbx\n")
    now = [0.0]
    known = hosts(path, now)
    before = known.answer(Question("A", "pbx"))

    path.write_text("10.0.0.22 pbx\n")
    os.utime(path, ns=(1, 1))
    now[0] = 4.9
    meanwhile = known.answer(Question("A", "pbx"))
    now[0] = 5.0

    assert (before, meanwhile) == (Answer(addresses=("10.0.0.1",)),) * 2
    assert known.answer(Question("A", "pbx")) == Answer(addresses=("10.0.0.22",))
