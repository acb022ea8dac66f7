from statistics import median

from tests.house.tree import Function, Module, modules

LONGEST_MODULE = 600
LONGEST_FUNCTION = 60
MEDIAN_MODULE = 200


def length(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


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
    assert [found for module in modules("sipflow", "tests") for found in long_functions(module)] == []


def test_half_of_the_modules_are_200_lines_or_less() -> None:
    assert median(len(module.lines) for module in modules("sipflow") if module.text.strip()) <= MEDIAN_MODULE
