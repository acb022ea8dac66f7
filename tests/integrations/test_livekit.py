"""`sipflow.integrations.livekit` with the real LiveKit, which is installed apart from sipflow: see livekit_cases.py."""

import pytest

from tests.integrations.elsewhere import cases, passed, run_cases
from tests.interop.test_livekit_native import livekit_packages

CASES = "livekit_cases.py"


@pytest.fixture(scope="module")
def said() -> str:
    return run_cases(CASES, livekit_packages())


@pytest.mark.parametrize("case", cases(CASES))
def test_case(case: str, said: str) -> None:
    assert passed(case, said), said
