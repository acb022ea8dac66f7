"""How endings are classified."""

import pytest

from sipflow.calls.ending import Ending, Fault, Word, q850_of


@pytest.mark.parametrize(
    ("by", "status", "word", "fault", "q850"),
    [
        ("remote", 200, Word.HUNG_UP, Fault.NOBODY, 16),
        ("remote", 486, Word.BUSY, Fault.NOBODY, 17),
        ("remote", 603, Word.REJECTED, Fault.REMOTE, 21),
        ("remote", 404, Word.NOT_FOUND, Fault.REMOTE, 1),
        ("local", 404, Word.NOT_FOUND, Fault.LOCAL, 1),
        ("remote", 487, Word.CANCELLED, Fault.NOBODY, 16),
        ("remote", 488, Word.MEDIA_FAILED, Fault.REMOTE, 65),
        ("system", 503, Word.UNREACHABLE, Fault.NETWORK, 41),
        ("system", 408, Word.NO_ANSWER, Fault.NOBODY, 102),
        ("local", 500, Word.REJECTED, Fault.LOCAL, 41),
    ],
)
def test_status_tells_word_fault_and_q850(by: str, status: int, word: Word, fault: Fault, q850: int) -> None:
    assert Ending.of(by, status, "because") == Ending(by, status, q850, word, fault, "because")


def test_a_word_known_better_and_the_peers_own_cause_win() -> None:
    ending = Ending.of("local", 500, "a bug", q850=27, word=Word.AGENT_FAILED)

    assert (ending.word, ending.fault, ending.q850) == (Word.AGENT_FAILED, Fault.LOCAL, 27)


def test_a_status_without_isdn_equivalent_is_31() -> None:
    assert q850_of(699) == 31
