"""Sounds from the web for callers who wait, under the rules of webhooks: checked addresses, bounded size and time."""

from sipflow.errors import MediaError
from sipflow.webhooks.addresses import Guard, endpoint_of
from sipflow.webhooks.exchange import Exchange

_MOST_BYTES = 16 << 20
_TIMEOUT_S = 10.0
_OK = 200


class WebSounds:
    """Fetches what API clients name as music (`calls.transfer.desk.SoundFetcher`).

    Args:
        guard: says which addresses may be reached.
        exchange: asks them.
        user_agent: what we call ourselves.
        timeout_s: within this time a sound must be whole.
        most_bytes: how large it may be.
    """

    def __init__(
        self,
        guard: Guard,
        exchange: Exchange,
        *,
        user_agent: str = "sipflow",
        timeout_s: float = _TIMEOUT_S,
        most_bytes: int = _MOST_BYTES,
    ) -> None:
        self._guard = guard
        self._exchange = exchange
        self._headers = (("User-Agent", user_agent), ("Accept", "audio/*, */*;q=0.1"))
        self._timeout_s = timeout_s
        self._most_bytes = most_bytes

    def check(self, url: str) -> None:
        """Look at a URL without asking anybody.

        Raises:
            LocalProtocolError: it cannot be used; the sentence says why.
        """
        self._guard.check(url)

    async def fetch(self, url: str) -> bytes:
        """Fetch a sound; redirections are not followed.

        Raises:
            MediaError: it may not be reached, is not there, is too large, or does not come in time; the
                sentence names the host alone, for the rest of a URL may be secret.
            LocalProtocolError: the URL cannot be read.
        """
        reply = await self._exchange.get(url, self._headers, timeout_s=self._timeout_s, most_bytes=self._most_bytes)
        why = reply.error
        if not why and reply.status != _OK:
            why = f"it answers {reply.status}"
        if not why and reply.cut:
            why = f"it is larger than {self._most_bytes >> 20} MiB"
        if why:
            raise MediaError(f"the sound of {endpoint_of(url)} cannot be had: {why}")
        return reply.body
