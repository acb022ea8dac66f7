"""What every test has: a process as the one before it found it."""

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """A command line that ran in this process has set up logs; the next test in it would miss lines."""
    before, configured = structlog.get_config(), structlog.is_configured()
    yield
    structlog.reset_defaults()
    if configured:
        structlog.configure(**before)
