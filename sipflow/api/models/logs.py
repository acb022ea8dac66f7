"""Deliveries of webhooks as the API shows them. The names are the reference's; what it does not have is marked."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field

from sipflow.api.envelope import Answer


class WebhookType(StrEnum):
    """What a webhook is for; `custom_action` is among the reference's words, and sipflow sends none."""

    EXTERNAL = "external_webhook"
    INBOUND = "inbound_webhook"
    CUSTOM_ACTION = "custom_action"
    EVENT = "call_event"


class DeliveryStatus(StrEnum):
    """How far a delivery is."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILED = "failed"


class HttpMethod(StrEnum):
    """Of the request; sipflow always sends POST."""

    GET = "get"
    POST = "post"
    PUT = "put"
    PATCH = "patch"
    DELETE = "delete"


class LogLine(Answer):
    """A delivery in a list."""

    webhook_log_id: str
    request_timestamp: datetime
    model_id: str
    status: DeliveryStatus
    webhook_url: str = Field(description="Without what its query may hold of secrets.")
    response_status_code: int | None
    http_method: HttpMethod
    webhook_type: WebhookType = Field(description="Ours: what it is for.")
    call_id: str = Field(description="Ours: of the call that it is about.")
    attempt_number: int = Field(description="Ours: how often it has been tried.")
    error_message: str | None = Field(description="Ours: why the last try failed.")


class LogPage(Answer):
    """One page of deliveries."""

    items: list[LogLine]
    total: int
    page_size: int
    page_number: int


class Attempt(Answer):
    """One try of a delivery. The reference has no such list."""

    attempt_number: int
    request_timestamp: datetime
    response_status_code: int | None
    duration_ms: int
    response_ttfb_ms: int | None
    error_message: str | None


class RequestOrigin(Answer):
    """Who sent the request: sipflow itself, so that only `user_agent` is ever set."""

    user_agent: str | None = None
    x_forwarded_for: str | None = None
    x_real_ip: str | None = None


class LogDetail(Answer):
    """A delivery with its request and the answer to its last try."""

    webhook_log_id: str
    webhook_type: WebhookType
    webhook_url: str
    call_id: str
    model_id: str
    workspace_id: str
    action_id: str | None = None
    http_method: HttpMethod
    request_timestamp: datetime
    attempt_number: int
    request_headers: dict[str, str]
    request_payload: Any
    response_timestamp: datetime | None
    response_status_code: int | None
    response_payload: Any
    response_headers: dict[str, str] | None
    duration_ms: int | None
    status: DeliveryStatus
    error_message: str | None
    request_origin: RequestOrigin
    flow_location: dict[str, Any] = Field(default_factory=dict)
    request_query_params: dict[str, str]
    response_ttfb_ms: int | None
    response_size_total: int | None
    response_size_body: int | None
    created_at: datetime = Field(description="Ours: when there was something to tell.")
    next_attempt_at: datetime | None = Field(description="Ours: when it is tried again.")
    give_up_at: datetime | None = Field(description="Ours: when it is given up.")
    attempts: list[Attempt] = Field(description="Ours: every try.")


class Redelivery(Answer):
    """A delivery that is on its way once more."""

    webhook_log_id: str
    status: DeliveryStatus
    next_attempt_at: datetime | None
