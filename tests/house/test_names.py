import re
from pathlib import PurePosixPath

from tests.house.tree import modules, text_files

EMPTY_WORDS = frozenset(
    {"utils", "util", "helpers", "helper", "manager", "managers", "common", "misc", "tools", "base"}
)
EMPTY_ENDINGS = ("Manager", "Helper", "Utils", "Util")
CLASS = re.compile(r"^[ \t]*class[ \t]+(\w+)", re.MULTILINE)
UNFINISHED = re.compile(r"\b(?:" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")) + r")\b")
MACHINE_PATHS = re.compile(r"(?<![\w.$}/-])/(?:work|home|root|Users)/[\w.-]")
SCRATCH_PATHS = re.compile(r"(?<![\w.$}/-])/tmp/[\w.-]")  # a person may be told to use it; code asks for a folder


def test_no_module_or_folder_has_an_empty_name() -> None:
    found = [
        module.path
        for module in modules("sipflow", "tests")
        if EMPTY_WORDS & {part.removesuffix(".py").removeprefix("test_") for part in PurePosixPath(module.path).parts}
    ]

    assert found == []


def test_no_class_has_an_empty_name() -> None:
    found = [
        f"{module.path} {name}"
        for module in modules("sipflow", "tests")
        for name in CLASS.findall(module.text)
        if name.endswith(EMPTY_ENDINGS)
    ]

    assert found == []


def test_nothing_is_left_for_later_in_a_comment() -> None:
    found = [
        f"{path}:{number} {line.strip()}"
        for path, text in text_files()
        if path.endswith((".py", ".sh", ".xml", ".yaml", "Makefile")) and UNFINISHED.search(text)
        for number, line in enumerate(text.splitlines(), 1)
        if UNFINISHED.search(line)
    ]

    assert found == []


def test_no_file_names_a_folder_of_somebodys_machine() -> None:
    found = [
        f"{path}:{number} {line.strip()[:120]}"
        for path, text in text_files()
        if MACHINE_PATHS.search(text) or SCRATCH_PATHS.search(text)
        for number, line in enumerate(text.splitlines(), 1)
        if MACHINE_PATHS.search(line) or (not path.endswith(".md") and SCRATCH_PATHS.search(line))
    ]

    assert found == []
