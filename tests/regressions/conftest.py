"""What every test on a wire ends with, as in tests/sip: nothing is left."""

from tests.sip.conftest import _nothing_is_left

__all__ = ["_nothing_is_left"]
