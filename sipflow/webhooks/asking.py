"""Sends the questions of the inbound-call webhook, and keeps them in the log; works without a store as well."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from sipflow.calls.inbound import InboundCall
from sipflow.calls.variables import printable
from sipflow.errors import LocalProtocolError, StoreError
from sipflow.webhooks.addresses import LONGEST_URL, Guard, endpoint_of
from sipflow.webhooks.exchange import Exchange
from sipflow.webhooks.headers import ATTEMPT, CALL, EVENT_ID, basic_headers
from sipflow.webhooks.inbound import MOST_ANSWER_BYTES, Asked, Inquiry
from sipflow.webhooks.payloads import CALL_INBOUND
from sipflow.webhooks.reading import why_failed
from sipflow.webhooks.settings import Settings
from sipflow.webhooks.signing import signed_headers

if TYPE_CHECKING:
    from sipflow.store.deliveries import Deliveries, DeliveryAttempt

log = structlog.get_logger("sipflow.webhooks")


class Asking:
    """Asks (`inbound.Asker`), over connections of its own: a call must not wait for those of deliveries.

    Args:
        settings: of webhooks.
        guard: says which addresses may be reached.
        user_agent: what we call ourselves.
        wall: UTC wall clock.

    Attributes:
        deliveries: where the log is; None while there is none.
    """

    def __init__(
        self,
        settings: Settings,
        guard: Guard,
        *,
        user_agent: str = "sipflow",
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.deliveries: Deliveries | None = None
        self._settings = settings
        self._exchange = Exchange(guard, ca_file=settings.ca_file)
        self._user_agent = user_agent
        self._wall = wall

    async def __call__(self, call: InboundCall, url: str, body: bytes, attempt: int) -> Asked:
        """Send one question, and wait for the answer."""
        at = self._wall()
        headers = [
            *basic_headers(self._user_agent, CALL_INBOUND),
            (EVENT_ID, _id_of(call.id)),
            (CALL, call.id),
            (ATTEMPT, str(attempt)),
            *signed_headers(self._settings.secret, body=body, call_id=call.id, at=at.timestamp()),
        ]
        timeout_s = self._settings.inbound_timeout_s
        reply = await self._exchange.post(url, body, headers, timeout_s=timeout_s, most_bytes=MOST_ANSWER_BYTES)
        return Asked(at, tuple(headers), reply, why_failed(reply))

    async def keep(self, inquiry: Inquiry) -> None:
        """Put what was asked and answered into the log, if there is one."""
        if self.deliveries is None:
            return
        from sipflow.store.deliveries import FAILED, INBOUND, SUCCESS, Delivery

        try:
            endpoint = str(endpoint_of(inquiry.url))
        except LocalProtocolError:
            endpoint = ""
        attempts = self._attempts_of(inquiry)
        delivery = Delivery(
            id=_id_of(inquiry.call_id),
            webhook_type=INBOUND,
            url=printable(inquiry.url)[:LONGEST_URL],
            endpoint=endpoint,
            agent=inquiry.agent,
            call_id=inquiry.call_id,
            payload=inquiry.body,
            created_at=inquiry.started_at,
            status=FAILED if inquiry.problem else SUCCESS,
            attempts=len(attempts),
            finished_at=self._wall(),
        )
        try:
            await self.deliveries.log(delivery, attempts)
        except StoreError as error:
            log.warning("an inbound-call webhook is not in the log", call=inquiry.call_id, why=str(error))

    async def close(self) -> None:
        """Close its connections."""
        await self._exchange.close()

    def _attempts_of(self, inquiry: Inquiry) -> "list[DeliveryAttempt]":
        from sipflow.store.deliveries import DeliveryAttempt
        from sipflow.webhooks.outbox import attempt_of

        last = 0 if inquiry.cut_short else len(inquiry.tries)
        attempts = [
            attempt_of(number, asked.at, asked.headers, asked.reply, inquiry.problem if number == last else asked.why)
            for number, asked in enumerate(inquiry.tries, 1)
        ]
        if inquiry.cut_short or not inquiry.tries:
            lasted_ms = round((self._wall() - inquiry.started_at).total_seconds() * 1000)
            number = len(attempts) + 1
            attempts.append(DeliveryAttempt(number, inquiry.started_at, None, lasted_ms, error_message=inquiry.problem))
        return attempts


def _id_of(call_id: str) -> str:
    return f"inb_{call_id}"
