"""`handler: stream`: the audio goes to a bot over a WebSocket, in Twilio's, Telnyx', Vonage's or jambonz' words."""

from collections.abc import Mapping

from sipflow.agents.fallback import fall_back
from sipflow.agents.spec import HandOver
from sipflow.agents.stream.options import StreamOptions, read_options, trusting
from sipflow.agents.stream.session import How, Session
from sipflow.calls.call import Call

_MOST_READ = 256

# What was read of the options of agents that are in use; the options are kept too, so that their id stays theirs.
_read: dict[int, tuple[Mapping[str, object], StreamOptions]] = {}


def check(options: Mapping[str, object]) -> None:
    """Refuse options that cannot work.

    Raises:
        AgentError: one cannot.
    """
    _read.clear()
    trusting.cache_clear()  # the authorities may have changed since the last look
    read_options(options).trust()


def refers_to(options: Mapping[str, object]) -> str:
    """Name the agent that takes over where the bot fails, "" for none."""
    return str(options.get("fallback", ""))


async def stream(call: Call) -> HandOver | None:
    """Carry the call's audio to a bot and back until one of them has enough.

    The caller hears ringing until the bot is there. A bot that closes the WebSocket is done, and the call is ended. One
    that cannot be reached, falls silent, sends garbage or floods is replaced by the fallback, or else the call ends:
    503 before the answer, BYE with a Reason after it.
    """
    options = _options(call)
    outcome = await Session(call, options).run()
    if outcome.how is not How.FAILED:
        return None
    return await fall_back(call, options, what="stream", why=outcome.why)


def _options(call: Call) -> StreamOptions:
    found = _read.get(id(call.options))
    if found is None:
        if len(_read) >= _MOST_READ:
            _read.clear()
        found = _read[id(call.options)] = (call.options, read_options(call.options))
    return found[1]
