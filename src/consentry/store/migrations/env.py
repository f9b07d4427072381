"""Runs the migrations on the connection that `consentry.store.database` hands over.

All of them run inside its one transaction, so an upgrade happens whole or not at all.
"""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
