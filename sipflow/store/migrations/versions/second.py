"""What trunks, numbers and tokens have used of their budgets against toll fraud."""

from alembic import op
from sqlalchemy import JSON, Column, DateTime, MetaData, String, Table

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

metadata = MetaData(naming_convention={"pk": "pk_%(table_name)s"})

Table(
    "toll_use", metadata,
    Column("name", String(200), primary_key=True),
    Column("state", JSON, nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
)  # fmt: skip


def upgrade() -> None:
    """Make the table."""
    metadata.create_all(op.get_bind(), checkfirst=False)


def downgrade() -> None:
    """Remove the table and what is in it."""
    metadata.drop_all(op.get_bind(), checkfirst=False)
