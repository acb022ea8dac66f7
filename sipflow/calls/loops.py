"""Calls of ours that come back to us: which numbers have a call behind them already (RFC 3261 §16.3)."""

Numbers = tuple[str, ...]


class Loops:
    """Knows the calls that are placed on behalf of others by their Call-ID, which proxies leave as it is.

    A call that comes back for another number is no loop: it goes on, and takes along what it has behind it. What an
    exchange in between has made a new call of is not known again; there Max-Forwards ends it.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, Numbers] = {}  # by the record's id of a second leg
        self._launched: dict[str, str] = {}  # its Call-ID, now
        self._by_call_id: dict[str, Numbers] = {}

    def __len__(self) -> int:
        """How many calls are remembered."""
        return len(self._numbers)

    def on_behalf(self, record_id: str, numbers: Numbers) -> None:
        """Note that a call is about to be placed for one that has these numbers behind it."""
        if numbers:
            self._numbers[record_id] = numbers

    def launched(self, record_id: str, sip_call_id: str) -> None:
        """Note the Call-ID of an INVITE; of each that a call tries, the last one counts."""
        numbers = self._numbers.get(record_id)
        if numbers is None:
            return
        self._by_call_id.pop(self._launched.get(record_id, ""), None)
        self._launched[record_id] = sip_call_id
        self._by_call_id[sip_call_id] = numbers

    def behind(self, sip_call_id: str) -> Numbers:
        """Give the numbers that a call which comes in has behind it; none unless it is one of ours."""
        return self._by_call_id.get(sip_call_id, ())

    def over(self, record_id: str) -> None:
        """Forget a call that has ended."""
        if self._numbers.pop(record_id, None) is not None:
            self._by_call_id.pop(self._launched.pop(record_id, ""), None)
