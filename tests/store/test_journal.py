"""The file of lines that must not be lost."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from sipflow.errors import StoreError
from sipflow.store.journal import Journal


def everything(journal: Journal) -> bytes:
    return journal.read(0, 1_000_000)


@contextmanager
def no_room_beyond(octets: int) -> Iterator[None]:
    """Let files grow to this size and no further: what a full disk does to a writer."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def test_lines_are_in_the_file_when_append_returns(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "calls")

    assert journal.append(b"one\n")
    assert journal.append(b"two\n")

    assert (tmp_path / "calls").read_bytes() == b"one\ntwo\n"
    assert journal.size == 8
    journal.close()


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "calls")
    journal.append(b"one\n")
    journal.replace([b"two\n"])

    assert (tmp_path / "calls").stat().st_mode & 0o777 == 0o600
    journal.close()


def test_what_was_there_is_read_by_the_next_one(tmp_path: Path) -> None:
    first = Journal(tmp_path / "calls")
    first.append(b"one\n")
    first.close()
    second = Journal(tmp_path / "calls")

    assert (second.size, everything(second)) == (4, b"one\n")
    second.close()


def test_a_line_is_never_glued_to_one_that_is_half_there(tmp_path: Path) -> None:
    (tmp_path / "calls").write_bytes(b"one\nhal")
    journal = Journal(tmp_path / "calls")

    journal.append(b"two\n")

    assert everything(journal) == b"one\nhal\ntwo\n"
    assert journal.size == 12
    journal.close()


def test_a_new_beginning_has_these_lines_and_no_others(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "calls")
    journal.append(b"one\n")

    assert journal.replace([b"two\n", b"three\n"])
    journal.append(b"four\n")

    assert (tmp_path / "calls").read_bytes() == b"two\nthree\nfour\n"
    assert journal.size == 15
    assert os.listdir(tmp_path) == ["calls"]
    assert journal.replace([])
    assert (journal.size, (tmp_path / "calls").read_bytes()) == (0, b"")
    journal.close()


def test_two_processes_never_write_to_one_journal(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "calls")
    journal.append(b"one\n")
    journal.replace([b"two\n"])
    program = (
        "import sys; from pathlib import Path; from sipflow.store.journal import Journal\n"
        "try: Journal(Path(sys.argv[1]))\n"
        "except Exception as error: print(type(error).__name__, error)"
    )

    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "calls")], capture_output=True, text=True)

    assert done.stdout == (
        f"StoreError another sipflow runs with this store ({tmp_path}/calls is locked): "
        "stop it, or give this one another store.url\n"
    )
    journal.close()
    Journal(tmp_path / "calls").close()


def test_a_folder_that_does_not_exist_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nowhere/calls cannot be written: No such file or directory"):
        Journal(tmp_path / "nowhere" / "calls")


def test_a_full_disk_is_said_once_and_no_line_behind_it_is_lost(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "calls")
    journal.append(b"one\n")
    with capture_logs() as logs, no_room_beyond(6):
        assert not journal.append(b"two\n")  # half of it fits
        assert not journal.append(b"three\n")
    assert [line["log_level"] for line in logs] == ["error"]

    assert journal.append(b"four\n")

    assert everything(journal) == b"one\ntw\nfour\n"
    assert journal.size == 12
    journal.close()


def test_a_new_beginning_that_finds_no_room_leaves_all_as_it_was(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "calls")
    journal.append(b"one\n")
    with capture_logs(), no_room_beyond(6):
        assert not journal.replace([b"much more than fits\n"])

    assert everything(journal) == b"one\n"
    assert os.listdir(tmp_path) == ["calls"]
    journal.append(b"two\n")
    assert everything(journal) == b"one\ntwo\n"
    journal.close()


def test_it_is_removed_when_nothing_in_it_is_wanted(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "calls")
    journal.close(remove=True)

    assert os.listdir(tmp_path) == []
