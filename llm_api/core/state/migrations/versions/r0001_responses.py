"""The processes, responses, conversations."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0001"
down_revision: Final = None


def upgrade() -> None:
    op.create_table(
        "workers",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("seen_at", sa.Float, nullable=False),
    )
    op.create_table(
        "responses",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("ended_at", sa.Float),
        sa.Column("previous_id", sa.Text),
        sa.Column("conversation_id", sa.Text),
        sa.Column("conversation_length", sa.Integer, nullable=False),
        sa.Column("is_background", sa.Boolean, nullable=False),
        sa.Column("is_lost", sa.Boolean, nullable=False),
        sa.Column("last_event", sa.Integer),
        sa.Column("wants_cancel", sa.Boolean, nullable=False),
        sa.Column("worker", sa.Text),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("responses_by_end", "responses", ["ended_at", "size"])
    op.create_index(
        "responses_unfinished",
        "responses",
        ["worker", "owner"],
        sqlite_where=sa.text("worker IS NOT NULL"),
        postgresql_where=sa.text("worker IS NOT NULL"),
    )
    op.create_table(
        "response_items",
        _parent("response_id", "responses.id"),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("is_output", sa.Boolean, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("response_items_by_id", "response_items", ["id"])
    op.create_table(
        "response_events",
        _parent("response_id", "responses.id"),
        sa.Column("sequence_number", sa.Integer, primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "conversations",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("length", sa.Integer, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("metadata", sa.Text, nullable=False),
    )
    op.create_index("conversations_by_size", "conversations", ["size"])
    op.create_table(
        "conversation_items",
        _parent("conversation_id", "conversations.id"),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.UniqueConstraint("conversation_id", "id", name="conversation_items_by_id"),
    )


def _parent(name: str, target: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, sa.ForeignKey(target, ondelete="CASCADE"), primary_key=True)
