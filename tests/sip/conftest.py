"""Every test on a wire ends with nothing left: no transaction, dialog, alarm or look-up, wherever it broke off."""

from collections.abc import Iterator

import pytest

from tests.support.wire import WIRES


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    WIRES.clear()
    yield
    for wire in WIRES:
        wire.close()
    WIRES.clear()
