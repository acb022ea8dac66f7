from sipflow.sip.timers import DEFAULT_TIMERS, Timers


def test_the_defaults_are_those_of_rfc3261_table_4() -> None:
    assert Timers(t1=0.5, t2=4.0, t4=5.0, timer_d=32.0) == DEFAULT_TIMERS
    assert DEFAULT_TIMERS.timeout == 32.0


def test_64_t1_follows_t1() -> None:
    assert Timers(t1=0.1).timeout == 6.4
