"""Every target of the fuzzer over its seeds and over what mangling makes of them, without the fuzzer."""

import sys
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

import pytest

from tests.fuzz.__main__ import finds, main
from tests.fuzz.target import Target
from tests.fuzz.targets import CORPUS, TARGETS, seeds

_MANGLED = 30  # of each target; the fuzzer itself tries a thousand times as many
_DEAR = 400  # calls below which nothing can be said of growth


def mangled(dice: Random, data: bytes, words: tuple[str, ...]) -> bytes:
    """The same with up to four wounds."""
    for _ in range(dice.randrange(1, 5)):
        at, size = dice.randrange(len(data) + 1), dice.randrange(1, 20)
        piece = dice.choice([dice.randbytes(size), data[:size], *(word.encode() for word in words)])
        data = dice.choice([data[:at] + piece + data[at:], data[:at] + data[at + size :], data[:at] + data[at:] * 2])
    return data


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_of_the_language_and_what_must_hold_does(name: str) -> None:
    files = seeds(name)
    accepted = [file for file in files if TARGETS[name].check(file.read_bytes())]

    assert files
    assert 2 * len(accepted) >= len(files)


@pytest.mark.parametrize("name", TARGETS)
def test_it_holds_for_mangled_seeds(name: str) -> None:
    dice, target, files = Random(name), TARGETS[name], seeds(name)

    for _ in range(_MANGLED):
        target.check(mangled(dice, dice.choice(files).read_bytes(), target.words)[: target.longest_bytes])


@pytest.mark.parametrize("name", TARGETS)
def test_four_times_as_much_costs_hardly_more_than_four_times_as_many_steps(name: str) -> None:
    """Counted in calls, so that it is the same on every machine; patterns are left to the fuzzer's own alarm."""
    target = TARGETS[name]
    data = max((file.read_bytes() for file in sorted((CORPUS / name).glob("*"))), key=len)
    middle = len(data) // 2
    once, more = (calls_of(target, data[:middle] + data[middle:] * times) for times in (4, 16))

    assert more <= 5 * max(once, _DEAR)


def calls_of(target: Target, data: bytes) -> int:
    """How many functions are called for an input, Python's own among them."""
    count = 0

    def note(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    target.check(data)  # what is made once for all is made
    sys.setprofile(note)
    try:
        target.check(data)
    finally:
        sys.setprofile(None)
    return count


def test_every_folder_of_the_corpus_is_of_a_target_and_its_files_are_small() -> None:
    assert {folder.name for folder in CORPUS.iterdir()} == set(TARGETS)
    assert [file for file in CORPUS.glob("*/*") if file.stat().st_size > 4096] == []


def test_what_is_no_target_is_named_beside_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["url"]) == 2
    assert capsys.readouterr().err == f"nothing is called url: there are {', '.join(TARGETS)}\n"


def test_a_find_is_replayed_by_the_folder_that_it_is_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "uri").mkdir()
    find = tmp_path / "uri" / "crash-1"
    find.write_bytes(b"sip:a@b")

    assert finds(tmp_path / "uri") == [find]
    assert main(["--replay", str(find)]) == 0
    assert main(["--replay", str(tmp_path / "crash-1")]) == 2
    assert capsys.readouterr().out == "accepted\n"
