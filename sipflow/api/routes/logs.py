"""The log of webhooks: what was sent, what was answered, and once more if need be."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

from fastapi import APIRouter, Depends, Path, Query
from pydantic import AfterValidator

from sipflow.api.auth import requires
from sipflow.api.context import InContext, need
from sipflow.api.envelope import FURTHEST, MOST_PER_PAGE, Enveloped, LogsErrorAnswer
from sipflow.api.models.logs import (
    Attempt,
    DeliveryStatus,
    HttpMethod,
    LogDetail,
    LogLine,
    LogPage,
    Redelivery,
    RequestOrigin,
    WebhookType,
)
from sipflow.api.models.values import in_utc
from sipflow.store.deliveries import Deliveries, Delivery, DeliveryAttempt, LogFilter

_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": LogsErrorAnswer, "description": meaning}
    for status, meaning in (
        (400, "Something in the request is wrong; the sentence names the field."),
        (401, "The token is missing, unknown, expired or revoked."),
        (403, "The token is good, but not for this."),
        (404, "There is no such delivery."),
        (409, "It cannot be sent again."),
        (500, "A bug of ours; the log has it."),
        (503, "Not now: the store cannot be used, or this part does not run."),
    )
}
router = APIRouter(prefix="/v2/logs", tags=["Webhook Logs"], responses=_ERRORS)
_READS = [requires("logs:read")]
_WRITES = [requires("logs:write")]
_MASK = "***"
_SECRET_WORDS = ("token", "secret", "key", "sig", "auth", "pass", "code")  # in names of query parameters

LogId = Annotated[str, Path(max_length=80, pattern=r"^[!-~]+$")]
Moment = Annotated[datetime, AfterValidator(in_utc)]
Text = Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$")]


@dataclass(frozen=True, slots=True)
class _Asked:
    """The filters of the reference, as query parameters."""

    workspace_id: Annotated[Text, Query(description="Accepted and passed over: there is one workspace.")] = None
    search: Annotated[Text, Query(description="Part of the id, of the URL or of the id of the call.")] = None
    webhook_type: WebhookType | None = None
    status: DeliveryStatus | None = None
    http_method: HttpMethod | None = None
    from_date: Moment | None = None
    to_date: Moment | None = None
    assistant_id: Text = None
    call_id: Text = None

    def filter(self) -> LogFilter:
        """Return what the store is asked."""
        return LogFilter(
            webhook_type=self.webhook_type,
            status=self.status,
            http_method=self.http_method,
            agent=self.assistant_id or None,
            call_id=self.call_id or None,
            search=self.search or None,
            from_at=self.from_date,
            to_at=self.to_date,
        )


@router.get("", dependencies=_READS)
async def list_webhook_logs(
    context: InContext,
    asked: Annotated[_Asked, Depends()],
    page_number: Annotated[int, Query(ge=1, le=FURTHEST // MOST_PER_PAGE)] = 1,
    page_size: Annotated[int, Query(ge=1, le=MOST_PER_PAGE)] = 20,
) -> Enveloped[LogPage]:
    """List deliveries of webhooks, the newest first."""
    total, found = await Deliveries(context.database).page(
        asked.filter(), limit=page_size, offset=(page_number - 1) * page_size
    )
    items = [_line(delivery, last) for delivery, last in found]
    return Enveloped(response=LogPage(items=items, total=total, page_size=page_size, page_number=page_number))


@router.get("/{webhook_log_id}", dependencies=_READS)
async def get_webhook_log(context: InContext, webhook_log_id: LogId, workspace_id: Text = None) -> Enveloped[LogDetail]:  # noqa: ARG001  (the reference's clients send it)
    """Show a delivery: its request, every try, and the answer to the last one."""
    delivery, attempts = await Deliveries(context.database).find(webhook_log_id)
    return Enveloped(response=_detail(delivery, attempts))


@router.post("/{webhook_log_id}/redeliver", dependencies=_WRITES)
async def redeliver_webhook(context: InContext, webhook_log_id: LogId) -> Enveloped[Redelivery]:
    """Send a delivery once more, whatever came of it, with the same `X-Sipflow-Event-Id`. Ours."""
    delivery = await need(context.webhooks, "the sending of webhooks").redeliver(webhook_log_id)
    status, at = DeliveryStatus(delivery.status), delivery.next_at
    return Enveloped(response=Redelivery(webhook_log_id=delivery.id, status=status, next_attempt_at=at))


def _line(delivery: Delivery, last: DeliveryAttempt | None) -> LogLine:
    return LogLine(
        webhook_log_id=delivery.id,
        request_timestamp=last.at if last is not None else delivery.created_at,
        model_id=delivery.agent,
        status=DeliveryStatus(delivery.status),
        webhook_url=shown_url(delivery.url),
        response_status_code=last.status_code if last is not None else None,
        http_method=HttpMethod(delivery.http_method),
        webhook_type=WebhookType(delivery.webhook_type),
        call_id=delivery.call_id,
        attempt_number=delivery.attempts,
        error_message=(last.error_message or None) if last is not None else None,
    )


def _detail(delivery: Delivery, attempts: list[DeliveryAttempt]) -> LogDetail:
    last = attempts[-1] if attempts else None
    answered = last is not None and last.status_code is not None
    headers = dict(last.request_headers) if last is not None else {}
    return LogDetail(
        webhook_log_id=delivery.id,
        webhook_type=WebhookType(delivery.webhook_type),
        webhook_url=shown_url(delivery.url),
        call_id=delivery.call_id,
        model_id=delivery.agent,
        workspace_id=delivery.workspace_id,
        http_method=HttpMethod(delivery.http_method),
        request_timestamp=last.at if last is not None else delivery.created_at,
        attempt_number=delivery.attempts,
        request_headers=headers,
        request_payload=_payload(delivery.payload.decode("utf-8", "replace")),
        response_timestamp=last.at + timedelta(milliseconds=last.duration_ms) if last and answered else None,
        response_status_code=last.status_code if last else None,
        response_payload=_payload(last.response_body) if last else None,
        response_headers=_headers(last.response_headers) if last else None,
        duration_ms=last.duration_ms if last else None,
        status=DeliveryStatus(delivery.status),
        error_message=(last.error_message or None) if last else None,
        request_origin=RequestOrigin(user_agent=headers.get("User-Agent")),
        request_query_params=shown_query(delivery.url),
        response_ttfb_ms=last.response_ttfb_ms if last else None,
        response_size_total=_total_bytes(last) if last else None,
        response_size_body=last.response_bytes if last else None,
        created_at=delivery.created_at,
        next_attempt_at=delivery.next_at,
        give_up_at=delivery.expires_at,
        attempts=[_attempt(attempt) for attempt in attempts],
    )


def _attempt(attempt: DeliveryAttempt) -> Attempt:
    return Attempt(
        attempt_number=attempt.attempt_number,
        request_timestamp=attempt.at,
        response_status_code=attempt.status_code,
        duration_ms=attempt.duration_ms,
        response_ttfb_ms=attempt.response_ttfb_ms,
        error_message=attempt.error_message or None,
    )


def shown_url(url: str) -> str:
    """Return a URL without the values of query parameters that may be secrets."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url.partition("?")[0]
    query = "&".join(f"{quote(name)}={quote(value, safe='*')}" for name, value in shown_query(url).items())
    return urlunsplit(parts._replace(query=query, fragment=""))


def shown_query(url: str) -> dict[str, str]:
    """Return the query parameters of a URL, with values masked that may be secrets."""
    try:
        pairs = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    except ValueError:
        return {}
    return {name: _MASK if any(word in name.lower() for word in _SECRET_WORDS) else value for name, value in pairs}


def _payload(text: str | None) -> Any:
    """Return a body as the JSON it is, else as the text it is."""
    if not text:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _headers(headers: Mapping[str, str] | None) -> dict[str, str] | None:
    return None if headers is None else dict(headers)


def _total_bytes(attempt: DeliveryAttempt) -> int | None:
    if attempt.response_bytes is None:
        return None
    lines = attempt.response_headers or {}
    return attempt.response_bytes + sum(len(name) + len(value) + 4 for name, value in lines.items())
