"""Links that open one recording for a while, to whoever has them: an HMAC over the name and the time."""

import hashlib
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable
from urllib.parse import urlencode

from sipflow.errors import ApiError

PATH = "/v2/recordings/"
_REMEMBERED = 10_000
_TOO_SHORT_S = 60.0  # a link that is this close to its end is not given out again


class RecordingLinks:
    """Signs links, and checks them.

    Args:
        secret: of the signatures; whoever has it opens every recording.
        life_s: how long a link is good.
        clock: seconds since the epoch.
    """

    def __init__(self, secret: bytes, *, life_s: float, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._life_s = life_s
        self._clock = clock
        self._given: OrderedDict[str, int] = OrderedDict()

    def link(self, name: str) -> str:
        """Return path and query of a link; while it is good, everybody who asks gets the same.

        Args:
            name: of the recording: the call's id, a dot and `wav` or `ogg`.
        """
        now = self._clock()
        expires = self._given.get(name, 0)
        if expires - now < min(_TOO_SHORT_S, self._life_s / 2):
            expires = self._given[name] = int(now + self._life_s)
            self._given.move_to_end(name)
            if len(self._given) > _REMEMBERED:
                self._given.popitem(last=False)
        return f"{PATH}{name}?{urlencode({'expires': expires, 'signature': self._sign(name, str(expires))})}"

    def check(self, name: str, expires: str, signature: str) -> None:
        """Let a link pass.

        Raises:
            ApiError: 403: it was not made here, was changed, or its time is over.
        """
        if not hmac.compare_digest(self._sign(name, expires).encode(), signature.encode("utf-8", "replace")):
            raise ApiError(403, "this link was not made here, or was changed; ask for the recording of the call again")
        if int(expires) <= self._clock():  # digits, for we signed it
            raise ApiError(403, "the time of this link is over; ask for the recording of the call again", "expired")

    def _sign(self, name: str, expires: str) -> str:
        text = f"{name}\n{expires}".encode("utf-8", "replace")
        return hmac.new(self._secret, text, hashlib.sha256).hexdigest()
