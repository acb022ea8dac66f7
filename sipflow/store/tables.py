"""The tables of the store. A change here needs a migration beside it (`store/migrations`); a test compares the two.

Times are UTC (`timestamp with time zone` where the database has it, else text in ISO 8601). JSON columns hold what the
API passes through and what nobody searches by; what is filtered or sorted by has a column of its own.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator


class Utc(TypeDecorator[datetime]):
    """A point in time with its zone, always UTC; a naive one is a mistake and is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Refuse a time without zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Give it with its zone; SQLite does not keep one."""
        if not isinstance(value, datetime):
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _made() -> tuple[Column[Any], Column[Any]]:
    return Column("created_at", Utc, nullable=False), Column("updated_at", Utc)


# What the API created; what the configuration declares is not in these.
trunks = Table(
    "trunks", metadata,
    Column("name", String(80), primary_key=True),  # the number's own E.164 for the trunk that an imported number brings
    Column("fields", JSON, nullable=False),  # of trunks.Trunk by name, without secrets; see store.trunk_fields
    Column("password", LargeBinary),  # encrypted; None for none
    *_made(),
)  # fmt: skip

numbers = Table(
    "numbers", metadata,
    Column("number", String(40), primary_key=True),  # E.164, or the identifier of a provider that has none
    Column("slug", String(40), nullable=False, unique=True),
    Column("friendly_name", String(200), nullable=False, server_default=""),
    Column("provider_name", String(40), nullable=False, server_default="custom"),
    Column("workspace_id", String(80), nullable=False, server_default=""),
    Column("trunk", String(80)),  # name of a stored or declared trunk
    Column("limits", JSON),  # max_calls, calls_per_second, calls_per_day
    *_made(),
)  # fmt: skip

agents = Table(
    "agents", metadata,
    Column("model_id", String(80), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("type", String(20), nullable=False),  # inbound, outbound, widget
    Column("handler", String(200), nullable=False),
    Column("options", LargeBinary, nullable=False),  # JSON, encrypted: handlers take keys and tokens
    Column("fields", JSON, nullable=False),  # the reference's fields that pass through us
    *_made(),
)  # fmt: skip

# Which agent has which number, whoever declared either. `number` and `agent` are names, so no foreign keys.
attachments = Table(
    "attachments", metadata,
    Column("number", String(40), primary_key=True),
    Column("agent", String(80), primary_key=True),
    Column("role", String(20), primary_key=True),  # inbound, outbound
    Column("created_at", Utc, nullable=False),
)  # fmt: skip
Index(  # one number has one inbound agent, whoever asks at the same moment
    "uq_attachments_inbound", attachments.c.number, unique=True,
    sqlite_where=text("role = 'inbound'"), postgresql_where=text("role = 'inbound'"),
)  # fmt: skip

pools = Table(
    "pools", metadata,
    Column("name", String(80), primary_key=True),
    Column("strategy", String(40), nullable=False),
    Column("settings", JSON, nullable=False),
    *_made(),
)  # fmt: skip

pool_members = Table(
    "pool_members", metadata,
    Column("pool", ForeignKey("pools.name", ondelete="CASCADE"), primary_key=True),
    Column("number", String(40), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("settings", JSON, nullable=False),  # weight, max_calls, calls_per_second, calls_per_day
)  # fmt: skip

# What pools remember of a number over a restart: when it was last used, what it drew, whether it rests.
number_use = Table(
    "number_use", metadata,
    Column("number", String(40), primary_key=True),
    Column("state", JSON, nullable=False),
    Column("updated_at", Utc, nullable=False),
)  # fmt: skip

# Which number pools called somebody from last.
pool_callees = Table(
    "pool_callees", metadata,
    Column("pool", String(80), primary_key=True),
    Column("callee", String(200), primary_key=True),
    Column("state", JSON, nullable=False),  # the number, a text
    Column("updated_at", Utc, nullable=False),
)  # fmt: skip

# Where numbers are at home, whoever declared them: looking that up is slow. Both "" where it is not known.
number_places = Table(
    "number_places", metadata,
    Column("number", String(40), primary_key=True),
    Column("region", String(200), nullable=False),
    Column("locality", String(200), nullable=False),
    Column("updated_at", Utc, nullable=False),
)  # fmt: skip

# What trunks, numbers and tokens have used of their budgets against toll fraud.
toll_use = Table(
    "toll_use", metadata,
    Column("name", String(200), primary_key=True),  # as a refusal names the budget, without what is limited
    Column("state", JSON, nullable=False),
    Column("updated_at", Utc, nullable=False),
)  # fmt: skip

phone_books = Table(
    "phone_books", metadata,
    Column("phone_book_id", String(80), primary_key=True),
    Column("workspace_id", String(80), nullable=False, server_default=""),
    Column("name", String(200), nullable=False),
    *_made(),
)  # fmt: skip

phone_book_entries = Table(
    "phone_book_entries", metadata,
    Column("entry_id", String(80), primary_key=True),
    Column("phone_book_id", ForeignKey("phone_books.phone_book_id", ondelete="CASCADE"), nullable=False, index=True),
    Column("phone_number", String(200), nullable=False),
    Column("transfer_condition", Text, nullable=False, server_default=""),
    Column("created_at", Utc, nullable=False),
)  # fmt: skip

# Every finished call: see store.calls. `record` and `history` are the whole; the other columns are what it is found by.
# Live ones are in the journal and in the switchboard, so that nothing here can be left "in-progress".
calls = Table(
    "calls", metadata,
    Column("id", String(80), primary_key=True),
    Column("direction", String(10), nullable=False),
    Column("status", String(30), nullable=False),  # as the API says it
    Column("agent", String(80), nullable=False),
    Column("trunk", String(80), nullable=False),
    Column("number", String(40), nullable=False),
    Column("from_number", String(200), nullable=False),
    Column("to_number", String(200), nullable=False),
    Column("lead_number", String(200), nullable=False),  # of the person: from inbound, to outbound
    Column("sip_call_id", String(400), nullable=False),
    Column("word", String(30)),  # calls.ending.Word
    Column("sip_status", Integer),
    Column("started_at", Utc, nullable=False, index=True),
    Column("answered_at", Utc),
    Column("ended_at", Utc),
    Column("duration_s", Float),
    Column("recording", Text),
    Column("record", JSON, nullable=False),
    Column("history", JSON, nullable=False),  # what happened: [at, name, details] each
    Index("ix_calls_agent_started_at", "agent", "started_at"),
    Index("ix_calls_lead_number_started_at", "lead_number", "started_at"),
)  # fmt: skip

# Calls that `prepare_inbound` announced and whose INVITE has not come.
announced_calls = Table(
    "announced_calls", metadata,
    Column("id", String(80), primary_key=True),
    Column("agent", String(80), nullable=False),
    Column("from_number", String(200), nullable=False),
    Column("to_number", String(200), nullable=False),
    Column("workspace_id", String(80), nullable=False, server_default=""),
    Column("variables", JSON, nullable=False),
    Column("created_at", Utc, nullable=False),
    Column("expires_at", Utc, nullable=False, index=True),
)  # fmt: skip

idempotency = Table(
    "idempotency", metadata,
    Column("token_id", String(80), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("request_hash", String(64), nullable=False),
    Column("status", Integer),  # None while the first request is still at work
    Column("response", JSON),
    Column("created_at", Utc, nullable=False, index=True),
)  # fmt: skip

tokens = Table(
    "tokens", metadata,
    Column("id", String(80), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("hash", String(64), nullable=False, unique=True),  # SHA-256 of a token of 256 random bits
    Column("scopes", JSON, nullable=False),
    Column("created_at", Utc, nullable=False),
    Column("expires_at", Utc),
    Column("last_used_at", Utc),
    Column("revoked_at", Utc),
)  # fmt: skip

# The outbox and the log of webhooks: a row per delivery, a row per attempt.
deliveries = Table(
    "deliveries", metadata,
    Column("id", String(80), primary_key=True),
    Column("webhook_type", String(40), nullable=False),  # external_webhook, inbound_webhook, call_event
    Column("status", String(20), nullable=False),  # pending, success, failed
    Column("url", Text, nullable=False),
    Column("endpoint", String(300), nullable=False),  # scheme, host and port of the URL: one that hangs holds no other
    Column("http_method", String(10), nullable=False),
    Column("agent", String(80), nullable=False, index=True),
    Column("call_id", String(80), nullable=False),
    Column("position", Integer, nullable=False, server_default="0"),  # those of one call to one URL keep this order
    Column("workspace_id", String(80), nullable=False, server_default=""),
    Column("payload", LargeBinary, nullable=False),  # the body, octet for octet: it is what is signed
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_at", Utc),  # when it is tried again, None when nobody will
    Column("created_at", Utc, nullable=False, index=True),
    Column("expires_at", Utc),  # when it is given up; None for what is never tried again
    Column("finished_at", Utc, index=True),
    Index("ix_deliveries_due", "status", "endpoint", "next_at"),
    # For what is before a delivery of the same call. With `call_id` alone SQLite, which has no statistics, may as well
    # take the index above, and read all that waits for each that waits.
    Index("ix_deliveries_call_id_status_position", "call_id", "status", "position"),
)  # fmt: skip

delivery_attempts = Table(
    "delivery_attempts", metadata,
    Column("delivery_id", ForeignKey("deliveries.id", ondelete="CASCADE"), primary_key=True),
    Column("attempt_number", Integer, primary_key=True),
    Column("at", Utc, nullable=False),
    Column("status_code", Integer),
    Column("duration_ms", Integer, nullable=False),
    Column("response_ttfb_ms", Integer),
    Column("request_headers", JSON, nullable=False),
    Column("response_headers", JSON),
    Column("response_body", Text),
    Column("response_bytes", Integer),  # of the whole body, where `response_body` is only its beginning
    Column("error_message", Text, nullable=False, server_default=""),
)  # fmt: skip

# What must outlive a restart and fits nowhere else, such as the check value of the encryption key.
settings = Table(
    "settings", metadata,
    Column("name", String(80), primary_key=True),
    Column("value", LargeBinary, nullable=False),
    Column("expires", Boolean, nullable=False, server_default=text("false")),
)  # fmt: skip
