"""Calls are found by SIP Call-ID no more: that index cost each record a page of its own, and nobody asked it."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Remove the index."""
    op.drop_index("ix_calls_sip_call_id", "calls")


def downgrade() -> None:
    """Put it back."""
    op.create_index("ix_calls_sip_call_id", "calls", ["sip_call_id"])
