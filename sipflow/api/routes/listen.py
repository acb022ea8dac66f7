"""A live call to listen to: both voices, for as long as it lives."""

from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from sipflow.api.auth import Caller, requires
from sipflow.api.context import InContext
from sipflow.api.errors import documented
from sipflow.api.routes.calls import CallId, desk_of
from sipflow.audio.wav import wav_header
from sipflow.media.listening import Listening, mixed

router = APIRouter(prefix="/v2/calls/{call_id}", tags=["Recordings"])
_WAIT_S = 5.0
_ENDLESS_BYTES = 2**32 - 1 - 36  # what a header says of sound whose length nobody knows
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"audio/wav": {"schema": {"type": "string", "format": "binary"}}},
        "description": "A WAV file of 16-bit samples that grows until the call is over.",
    }
}


@router.get("/listen", response_class=StreamingResponse, responses={**_STREAM, **documented(404, 409, 429)})
async def listen_to_call(
    context: InContext,
    call_id: CallId,
    caller: Annotated[Caller, requires("recordings:read")],
    channels: Annotated[Literal["1", "2"], Query(description="2: the far end left, what it is told right.")] = "1",
) -> StreamingResponse:
    """Listen to a live call: what is said from now on, both ways, until it is over. Its history says who listened.

    A client that is slower than speech loses the oldest seconds; the call waits for nobody.
    """
    call = await desk_of(context).leg(call_id)
    stack = ExitStack()
    listening = stack.enter_context(context.listeners.one_more(call, name=caller.name))
    sound = _sound(listening, int(channels))
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return _Listened(sound, stack, headers=headers)


class _Listened(StreamingResponse):
    """A stream that stops listening to its call however it ends, and even if it is never begun."""

    def __init__(self, sound: AsyncIterator[bytes], stack: ExitStack, *, headers: dict[str, str]) -> None:
        super().__init__(sound, media_type="audio/wav", headers=headers)
        self._stack = stack

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        with self._stack:
            await super().__call__(scope, receive, send)


async def _sound(listening: Listening, channels: int) -> AsyncIterator[bytes]:
    yield wav_header(_ENDLESS_BYTES, listening.sample_rate_hz, channels)
    while True:
        stereo = await listening.more(_WAIT_S)
        if stereo:
            yield stereo if channels == 2 else mixed(stereo)
        elif listening.ended:
            return
