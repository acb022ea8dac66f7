"""What agents are tested with, without a network: `FakeCall` and `run`."""

from sipflow.testing.fake_call import FakeCall, run

__all__ = ["FakeCall", "run"]
