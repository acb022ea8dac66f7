from sipflow.config.changes import Changes, Difference, changes
from sipflow.config.configuration import Configuration
from sipflow.config.load import parse

OLD = """
trunks: {a: {sip_domain: a.example, username: a, password: x}, b: {sip_domain: b.example}}
numbers: {+12065550100: {inbound_agent: echo}, 200: {trunk: b}}
agents: {echo: {handler: echo}, desk: {handler: "my:desk", greeting: hello}}
"""


def read(text: str) -> Configuration:
    return parse(text, environ={})


def test_the_same_file_changes_nothing() -> None:
    same = changes(read(OLD), read(OLD))

    assert same == Changes()
    assert not same
    assert str(same) == "nothing changed"


def test_what_came_went_and_changed_is_named() -> None:
    found = changes(
        read(OLD),
        read(
            """
trunks: {c: {sip_domain: c.example}, a: {sip_domain: a.example, username: a, password: y}}
numbers: {+12065550100: {inbound_agent: desk}, 201: {trunk: c}}
agents: {echo: {handler: echo}, desk: {handler: "my:desk", greeting: hi}}
"""
        ),
    )

    assert found == Changes(
        trunks=Difference(added=("c",), removed=("b",), changed=("a",)),
        numbers=Difference(added=("201",), removed=("200",), changed=("+12065550100",)),
        agents=Difference(changed=("desk",)),
    )
    assert str(found) == (
        "trunks: added c, removed b, changed a; numbers: added 201, removed 200, changed +12065550100; "
        "agents: changed desk"
    )


def test_what_is_read_only_at_the_start_is_named_by_its_key_in_the_file() -> None:
    found = changes(
        read(OLD),
        read(
            OLD + "sip: {listen: [udp:127.0.0.1:5070], advertise: {udp: 10.0.0.1}, unknown_source: silent}\n"
            "media: {ports: 30000-30100, bind: 127.0.0.1}\ncalls: {max_calls: 7}\nlog: {level: debug}\ndrain_s: 1\n"
        ),
    )

    assert found.needs_restart == (
        "sip.listen",
        "sip.advertise",
        "media.ports",
        "media.bind",
        "sip.unknown_source",
        "drain_s",
        "calls.max_calls",
        "log.level",
    )
    assert str(found).startswith("only after a restart: sip.listen, sip.advertise")
    assert found


def test_a_difference_without_names_is_nothing() -> None:
    assert str(Difference()) == "nothing"
    assert not Difference()
