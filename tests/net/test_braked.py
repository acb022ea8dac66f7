import structlog

from sipflow.net.braked import Braked
from sipflow.sip.brake import Brake, OverloadSettings
from tests.sip.transaction.playing import request


def test_the_log_says_when_calls_begin_to_be_refused_and_how_many_were_when_it_is_over() -> None:
    brake, braked = Brake(OverloadSettings()), Braked()

    with structlog.testing.capture_logs() as lines:
        for now in range(12):
            if now < 4:
                for beat in range(8):
                    brake.waited(0.3, now=now + beat / 8)
                brake.judge(request())
            braked.look(brake, now=now + 1.0)

    assert lines == [
        {
            "event": "more calls come in than can be handled",
            "log_level": "warning",
            "why": "what comes waits for 0.3 s before it is read: new calls get 503 and Retry-After",
        },
        {
            "event": "all calls are taken again",
            "log_level": "warning",
            "refused": 3,
            "unread": 0,
            "waited_s": 0.3,
        },
    ]


def test_old_requests_that_were_left_after_a_stall_are_told_of() -> None:
    brake, braked = Brake(OverloadSettings()), Braked()
    brake.waited(40.0, now=0.0)
    brake.leaves(bytes(request()))

    with structlog.testing.capture_logs() as lines:
        braked.look(brake, now=1.0)
        braked.look(brake, now=2.0)

    line = {"event": "old requests were left unread: nobody waits for them", "log_level": "warning"}
    assert lines == [{**line, "refused": 0, "unread": 1, "waited_s": 40.0}]
