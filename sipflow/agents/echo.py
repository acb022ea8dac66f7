"""`handler: echo`: answer, and say back whatever is heard."""

from collections.abc import Mapping

from sipflow.calls.call import Call
from sipflow.errors import AgentError


def check(options: Mapping[str, object]) -> None:
    """Refuse options: echo takes none.

    Raises:
        AgentError: there is one.
    """
    for name in options:
        raise AgentError(f"handler echo takes no option {name}")


async def echo(call: Call) -> None:
    """Answer and play what is heard until the caller hangs up."""
    await call.answer()
    await call.play(call.audio)
