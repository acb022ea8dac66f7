"""`sipflow.integrations.pipecat` with the real Pipecat, which is installed apart from sipflow: see pipecat_cases.py."""

import pytest

from tests.integrations.elsewhere import cases, passed, run_cases
from tests.interop.test_pipecat_native import pipecat_packages

CASES = "pipecat_cases.py"


@pytest.fixture(scope="module")
def said() -> str:
    return run_cases(CASES, pipecat_packages())


@pytest.mark.parametrize("case", cases(CASES))
def test_case(case: str, said: str) -> None:
    assert passed(case, said), said
