from statistics import median

from tests.house.tree import Function, Module, modules

LONGEST_MODULE = 600
LONGEST_FUNCTION = 60
MEDIAN_MODULE = 200


def length(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def may_be_long(module: Module) -> bool:
    """Whether a function of it may have so many lines, by indentation alone: to be sure takes a syntax tree."""
    open_at: list[tuple[int, int]] = []  # (indentation, first line) of the functions that a line is in
    in_text = False
    for number, line in enumerate([*module.lines, "end"]):
        begins_in_text, indentation = in_text, len(line) - len(line.lstrip())
        in_text ^= (line.count('"""') + line.count("'''")) % 2 == 1
        if begins_in_text or not line.strip() or line.lstrip()[0] in ")]}#":
            continue
        while open_at and indentation <= open_at[-1][0]:
            if number - open_at.pop()[1] > LONGEST_FUNCTION:
                return True
        if line.lstrip().startswith(("def ", "async def ")):
            open_at.append((indentation, number))
    return in_text


def long_functions(module: Module) -> list[str]:
    return [
        f"{module.path}:{function.lineno} {function.name} has {length(function)} lines"
        for function in module.functions()
        if length(function) > LONGEST_FUNCTION
    ]


def test_no_module_is_longer_than_600_lines() -> None:
    too_long = [f"{module.path} has {len(module.lines)} lines" for module in modules("sipflow", "tests")
                if len(module.lines) > LONGEST_MODULE]  # fmt: skip

    assert too_long == []


def test_no_function_is_longer_than_60_lines() -> None:
    assert [
        found for module in modules("sipflow", "tests") if may_be_long(module) for found in long_functions(module)
    ] == []


def test_half_of_the_modules_are_200_lines_or_less() -> None:
    assert median(len(module.lines) for module in modules("sipflow") if module.text.strip()) <= MEDIAN_MODULE


def test_a_long_function_is_seen_by_its_indentation() -> None:
    body = "\n".join(["    x = 1"] * LONGEST_FUNCTION)
    long = f"class A:\n    pass\n\n\ndef long(\n    a: int,\n) -> None:\n{body}\n\n\ny = 2\n"
    with_text = f'def long() -> None:\n    """\nTold at the margin.\n    """\n{body}\n'
    two = f"def one() -> None:\n{body[:-100]}\n\n\ndef two() -> None:\n    pass\n"

    assert [may_be_long(Module("a.py", text)) for text in (long, with_text, two, "x = 1\n")] == [
        True,
        True,
        False,
        False,
    ]
    assert len(long_functions(Module("a.py", long)) + long_functions(Module("a.py", with_text))) == 2
