"""What every test has: a process as the one before it found it, and its turn."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

# What waits or computes longest goes first, some of either kind at a time; what is short fills the cores at the end.
_FIRST = (
    "scenario/test_inbound", "api/test_schemathesis", "interop/test_console", "sip/test_ten_thousand_calls",
    "scenario/test_outbound", "bench/test_bench", "scenario/test_registrar", "house/test_site", "interop/test_b2bua",
    "interop", "faults", "daemon", "examples", "integrations", "house/test_docs", "security", "cli", "bench",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each file its turn, the same in every process."""
    items.sort(key=lambda item: _turn(item.path))


def _turn(path: Path) -> int:
    name = path.relative_to(Path(__file__).parent).as_posix()
    return next((turn for turn, first in enumerate(_FIRST) if name.startswith(first)), len(_FIRST))


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """A command line that ran in this process has set up logs; the next test in it would miss lines."""
    before, configured = structlog.get_config(), structlog.is_configured()
    yield
    structlog.reset_defaults()
    if configured:
        structlog.configure(**before)
