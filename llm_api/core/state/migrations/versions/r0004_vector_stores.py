"""What OpenAI adds to collections, the files on their way into them, and batches of these."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0004"
down_revision: Final = "0003"


def upgrade() -> None:
    op.create_table(
        "vector_stores",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("last_active_at", sa.Float, nullable=False),
        sa.Column("expires_days", sa.Integer),
        sa.Column("expired_at", sa.Float),
        sa.Column("is_emptied", sa.Boolean, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "store_files",
        sa.Column("store_id", sa.Text, primary_key=True),
        sa.Column("file_id", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("filename", sa.Text, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("attributes", sa.Text, nullable=False),
        sa.Column("chunking", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("error_code", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("existed", sa.Boolean, nullable=False),
        sa.Column("wish", sa.Text),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("worker", sa.Text),
        sa.Column("size", sa.BigInteger, nullable=False),
    )
    op.create_index("store_files_by_file", "store_files", ["file_id"])
    waits = sa.text("status = 'in_progress'")
    op.create_index(
        "store_files_waiting",
        "store_files",
        ["created_at", "worker"],
        sqlite_where=waits,
        postgresql_where=waits,
    )
    op.create_table(
        "file_batches",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("store_id", sa.Text, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("file_ids", sa.Text, nullable=False),
        sa.Column("is_cancelled", sa.Boolean, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
    )
