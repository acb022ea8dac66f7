"""What Alembic runs: every step that is missing, in the transaction of the connection that it was given."""

from alembic import context

from sipflow.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
