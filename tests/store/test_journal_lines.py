"""Lines of the journal."""

from pathlib import Path

from sipflow.store.journal import Journal
from sipflow.store.journal_lines import (
    Before,
    Saved,
    begun,
    begun_line,
    lines,
    over_line,
    read_before,
    saved,
    written_line,
)
from tests.store.records import BEGUN, OVER, over


def journal_of(folder: Path, *parts: bytes) -> Journal:
    (folder / "calls").write_bytes(b"".join(parts))
    return Journal(folder / "calls")


def test_a_record_comes_back_from_its_line() -> None:
    line = over_line(OVER)

    assert line.count(b"\n") == 1
    assert line.endswith(b"]\n")
    assert saved(line[:-1], 7) == Saved(OVER, line[:-1], 7)
    assert begun(begun_line(BEGUN)[:-1]) == BEGUN


def test_half_a_line_is_nothing() -> None:
    line = over_line(OVER)

    assert [saved(part, 0) for part in (line[:50], line[:-30], b"", b"S", b"C12", b"\x00" * 9)] == [None] * 6
    assert [begun(part) for part in (begun_line(BEGUN)[:30], b"", b"B")] == [None] * 3


async def test_lines_are_read_however_long_the_file_is(tmp_path: Path) -> None:
    many = [b"%d %s" % (number, b"x" * (number * 37 % 1000)) for number in range(2000)]
    many[1000] = b"y" * 600_000  # longer than what is read at a time
    journal = journal_of(tmp_path, b"\n".join(many), b"\n")

    found = [each async for each in lines(journal, 0, journal.size)]

    assert [line for _, line in found] == many
    assert all(journal.read(offset, len(line)) == line for offset, line in found[:50])
    assert [line async for _, line in lines(journal, found[1990][0], journal.size)] == many[1990:]
    assert [line async for _, line in lines(journal, 0, found[2][0])] == many[:2]
    journal.close()


async def test_what_a_process_left_is_known_from_its_lines(tmp_path: Path) -> None:
    first, second = begun_line(BEGUN), over_line(over(2))
    journal = journal_of(tmp_path, first, begun_line(over(2)), second, written_line(17), first[:20], b"\n", b"C\n")

    before = await read_before(journal, journal.size)

    assert before == Before(written=17, begun={b'"call-1"': 0}, torn=2)
    journal.close()


async def test_an_end_that_is_half_there_leaves_its_call_without_one(tmp_path: Path) -> None:
    journal = journal_of(tmp_path, begun_line(BEGUN), over_line(OVER)[:-40])

    assert (await read_before(journal, journal.size)).begun == {b'"call-1"': 0}
    journal.close()
