"""The tables of the first store, as they were: this copy never changes, whatever `store/tables.py` becomes."""

from alembic import op
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

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


Table(
    "trunks", metadata,
    Column("name", String(80), primary_key=True),
    Column("fields", JSON, nullable=False),
    Column("password", LargeBinary),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True)),
)  # fmt: skip

Table(
    "numbers", metadata,
    Column("number", String(40), primary_key=True),
    Column("slug", String(40), nullable=False, unique=True),
    Column("friendly_name", String(200), nullable=False, server_default=""),
    Column("provider_name", String(40), nullable=False, server_default="custom"),
    Column("workspace_id", String(80), nullable=False, server_default=""),
    Column("trunk", String(80)),
    Column("limits", JSON),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True)),
)  # fmt: skip

Table(
    "agents", metadata,
    Column("model_id", String(80), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("type", String(20), nullable=False),
    Column("handler", String(200), nullable=False),
    Column("options", LargeBinary, nullable=False),
    Column("fields", JSON, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True)),
)  # fmt: skip

attachments = Table(
    "attachments", metadata,
    Column("number", String(40), primary_key=True),
    Column("agent", String(80), primary_key=True),
    Column("role", String(20), primary_key=True),
    Column("created_at", DateTime(timezone=True), nullable=False),
)  # fmt: skip
Index(
    "uq_attachments_inbound", attachments.c.number, unique=True,
    sqlite_where=text("role = 'inbound'"), postgresql_where=text("role = 'inbound'"),
)  # fmt: skip

Table(
    "pools", metadata,
    Column("name", String(80), primary_key=True),
    Column("strategy", String(40), nullable=False),
    Column("settings", JSON, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True)),
)  # fmt: skip

Table(
    "pool_members", metadata,
    Column("pool", ForeignKey("pools.name", ondelete="CASCADE"), primary_key=True),
    Column("number", String(40), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("settings", JSON, nullable=False),
)  # fmt: skip

Table(
    "number_use", metadata,
    Column("number", String(40), primary_key=True),
    Column("state", JSON, nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
)  # fmt: skip

Table(
    "phone_books", metadata,
    Column("phone_book_id", String(80), primary_key=True),
    Column("workspace_id", String(80), nullable=False, server_default=""),
    Column("name", String(200), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True)),
)  # fmt: skip

Table(
    "phone_book_entries", metadata,
    Column("entry_id", String(80), primary_key=True),
    Column("phone_book_id", ForeignKey("phone_books.phone_book_id", ondelete="CASCADE"), nullable=False, index=True),
    Column("phone_number", String(200), nullable=False),
    Column("transfer_condition", Text, nullable=False, server_default=""),
    Column("created_at", DateTime(timezone=True), nullable=False),
)  # fmt: skip

Table(
    "calls", metadata,
    Column("id", String(80), primary_key=True),
    Column("direction", String(10), nullable=False),
    Column("status", String(30), nullable=False),
    Column("agent", String(80), nullable=False),
    Column("trunk", String(80), nullable=False),
    Column("number", String(40), nullable=False),
    Column("from_number", String(200), nullable=False),
    Column("to_number", String(200), nullable=False),
    Column("lead_number", String(200), nullable=False),
    Column("sip_call_id", String(400), nullable=False, index=True),
    Column("word", String(30)),
    Column("sip_status", Integer),
    Column("started_at", DateTime(timezone=True), nullable=False, index=True),
    Column("answered_at", DateTime(timezone=True)),
    Column("ended_at", DateTime(timezone=True)),
    Column("duration_s", Float),
    Column("recording", Text),
    Column("record", JSON, nullable=False),
    Column("history", JSON, nullable=False),
    Index("ix_calls_agent_started_at", "agent", "started_at"),
    Index("ix_calls_lead_number_started_at", "lead_number", "started_at"),
)  # fmt: skip

Table(
    "announced_calls", metadata,
    Column("id", String(80), primary_key=True),
    Column("agent", String(80), nullable=False),
    Column("from_number", String(200), nullable=False),
    Column("to_number", String(200), nullable=False),
    Column("workspace_id", String(80), nullable=False, server_default=""),
    Column("variables", JSON, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False, index=True),
)  # fmt: skip

Table(
    "idempotency", metadata,
    Column("token_id", String(80), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("request_hash", String(64), nullable=False),
    Column("status", Integer),
    Column("response", JSON),
    Column("created_at", DateTime(timezone=True), nullable=False, index=True),
)  # fmt: skip

Table(
    "tokens", metadata,
    Column("id", String(80), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("hash", String(64), nullable=False, unique=True),
    Column("scopes", JSON, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True)),
    Column("last_used_at", DateTime(timezone=True)),
    Column("revoked_at", DateTime(timezone=True)),
)  # fmt: skip

Table(
    "deliveries", metadata,
    Column("id", String(80), primary_key=True),
    Column("webhook_type", String(40), nullable=False),
    Column("status", String(20), nullable=False),
    Column("url", Text, nullable=False),
    Column("endpoint", String(300), nullable=False),
    Column("http_method", String(10), nullable=False),
    Column("agent", String(80), nullable=False, index=True),
    Column("call_id", String(80), nullable=False, index=True),
    Column("position", Integer, nullable=False, server_default="0"),
    Column("workspace_id", String(80), nullable=False, server_default=""),
    Column("payload", LargeBinary, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_at", DateTime(timezone=True)),
    Column("created_at", DateTime(timezone=True), nullable=False, index=True),
    Column("expires_at", DateTime(timezone=True)),
    Column("finished_at", DateTime(timezone=True), index=True),
    Index("ix_deliveries_due", "status", "endpoint", "next_at"),
)  # fmt: skip

Table(
    "delivery_attempts", metadata,
    Column("delivery_id", ForeignKey("deliveries.id", ondelete="CASCADE"), primary_key=True),
    Column("attempt_number", Integer, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("status_code", Integer),
    Column("duration_ms", Integer, nullable=False),
    Column("response_ttfb_ms", Integer),
    Column("request_headers", JSON, nullable=False),
    Column("response_headers", JSON),
    Column("response_body", Text),
    Column("response_bytes", Integer),
    Column("error_message", Text, nullable=False, server_default=""),
)  # fmt: skip

Table(
    "settings", metadata,
    Column("name", String(80), primary_key=True),
    Column("value", LargeBinary, nullable=False),
    Column("expires", Boolean, nullable=False, server_default=text("false")),
)  # fmt: skip


def upgrade() -> None:
    """Make every table."""
    metadata.create_all(op.get_bind(), checkfirst=False)


def downgrade() -> None:
    """Remove every table and what is in it."""
    metadata.drop_all(op.get_bind(), checkfirst=False)
