from collections.abc import Mapping, Sequence

from sipflow.api.log_ring import LogLine, LogRing


def ring(*events: Mapping[str, object], most: int = 100) -> LogRing:
    made = LogRing(most, wall=lambda: 1_800_000_000.0)
    for event in events:
        level = str(event.get("level", "info"))
        line = dict(event)
        assert made(None, level, line) is line
    return made


def numbers(lines: Sequence[LogLine]) -> list[int]:
    return [line.number for line in lines]


def test_a_line_is_kept_as_texts() -> None:
    (line,) = ring({"event": "call over", "level": "warning", "call": "c1", "seconds": 1.5, "who": None}).tail(10)

    assert line[0] == 1
    assert line.at.isoformat() == "2027-01-15T08:00:00+00:00"
    assert line[2:] == ("warning", "call over", "c1", {"seconds": "1.5", "who": "None"})


def test_the_oldest_lines_go_and_numbers_go_on() -> None:
    kept = ring(*({"event": str(number)} for number in range(1, 6)), most=3)

    assert numbers(kept.tail(10)) == [3, 4, 5]
    assert numbers(kept.tail(2)) == [4, 5]
    assert numbers(kept.tail(10, after=4)) == [5]
    assert (numbers(kept.tail(10, after=5)), kept.last) == ([], 5)


def test_lines_are_found_by_how_serious_they_are_and_by_what_they_say() -> None:
    levels = ("debug", "info", "warning", "error")
    kept = ring(*({"event": "said", "level": level, "Why": f"So {level}", "call": "ABC"} for level in levels))

    assert [numbers(kept.tail(10, level=level)) for level in levels] == [[1, 2, 3, 4], [2, 3, 4], [3, 4], [4]]
    assert numbers(kept.tail(10, text="so WARN")) == [3]
    assert numbers(kept.tail(10, text="abc")) == [1, 2, 3, 4]
    assert numbers(kept.tail(10, text="why=so error")) == [4]


def test_passwords_and_tokens_are_hidden_and_long_lines_cut() -> None:
    (line,) = ring(
        {
            "event": "asked with Bearer abcdefgh12345678 and sipflow_AbCdEfGhIjKlMn",
            "password": "open-sesame",
            "Authorization": "Digest x",
            "message": "x" * 5000,
        }
    ).tail(1)

    assert line.event == "asked with Bearer *** and sipflow_***"
    assert line.fields == {"password": "***", "Authorization": "***", "message": "x" * 4000}
