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


def test_pools_and_limits_are_told_and_need_no_restart() -> None:
    pooled = OLD + "pools: {us: {numbers: [200]}}\nlimits: {max_calls: 5}\n"
    other = OLD.replace("{a: {", "{a: {max_calls: 3, ").replace("200: {", "200: {max_calls: 1, ")
    found = changes(
        read(pooled),
        read(other + "pools: {us: {numbers: [200], strategy: weighted}, eu: {numbers: [200]}}\n"
             "limits: {max_calls: 6, queue: {calls: 3, wait_s: 3}, each_token: {calls_per_second: 1}}\n"),
    )  # fmt: skip

    assert found == Changes(
        pools=Difference(added=("eu",), changed=("us",)),
        limits=("limits", "limits.each_token", "trunks.*", "numbers.*", "limits.queue"),
    )
    assert str(found) == (
        "pools: added eu, changed us; limits: changed limits limits.each_token trunks.* numbers.* limits.queue"
    )


def test_another_store_waits_for_a_restart_and_is_not_shown() -> None:
    old, new = "a key of more than 32 characters, old", "a key of more than 32 characters, new"
    found = changes(
        read(OLD + f"store: {{url: 'sqlite:///a.db', encryption_key: '{old}'}}\n"),
        read(OLD + f"store: {{url: 'sqlite:///b.db', encryption_key: ['{new}', '{old}'], keep_records_days: 3}}\n"),
    )

    assert found == Changes(needs_restart=("store.url", "store.encryption_key", "store.keep_records_days"))
    assert "a key" not in str(found)
