"""Callees that pools remember, where numbers are at home, and an index that finds the next delivery of a call."""

from alembic import op
from sqlalchemy import JSON, Column, DateTime, MetaData, String, Table

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

metadata = MetaData(naming_convention={"pk": "pk_%(table_name)s"})

Table(
    "pool_callees", metadata,
    Column("pool", String(80), primary_key=True),
    Column("callee", String(200), primary_key=True),
    Column("state", JSON, nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
)  # fmt: skip

Table(
    "number_places", metadata,
    Column("number", String(40), primary_key=True),
    Column("region", String(200), nullable=False),
    Column("locality", String(200), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
)  # fmt: skip


def upgrade() -> None:
    """Make the tables; put the index in the place of the one whose columns it has, too."""
    metadata.create_all(op.get_bind(), checkfirst=False)
    op.create_index("ix_deliveries_call_id_status_position", "deliveries", ["call_id", "status", "position"])
    op.drop_index("ix_deliveries_call_id", "deliveries")


def downgrade() -> None:
    """Remove the tables and what is in them; put the former index back."""
    op.create_index("ix_deliveries_call_id", "deliveries", ["call_id"])
    op.drop_index("ix_deliveries_call_id_status_position", "deliveries")
    metadata.drop_all(op.get_bind(), checkfirst=False)
