"""What Alembic runs for every command: the migrations, on the connection that `run` put into the configuration."""

from __future__ import annotations

from alembic import context

from lapse.storage.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
