"""Files, the bytes that they name, uploads and their parts."""

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0003"
down_revision: Final = "0002"


def upgrade() -> None:
    op.create_table(
        "blobs",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("names", sa.Integer, nullable=False),
        sa.Column("changed_at", sa.Float, nullable=False),
    )
    op.create_index("blobs_by_content", "blobs", ["sha256"])
    op.create_index("blobs_by_state", "blobs", ["state", "changed_at"])
    op.create_table(
        "files",
        *_described(),
        sa.Column("expires_at", sa.Float),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("key", sa.Text, sa.ForeignKey("blobs.key"), nullable=False),
    )
    op.create_index("files_by_owner", "files", ["owner", "created_at", "id"])
    op.create_index("files_by_end", "files", ["expires_at"])
    op.create_table(
        "uploads",
        *_described(),
        sa.Column("expires_at", sa.Float, nullable=False),
        sa.Column("file_seconds", sa.Integer),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("file_id", sa.Text),
    )
    op.create_index("uploads_by_owner", "uploads", ["owner"])
    op.create_index("uploads_by_end", "uploads", ["expires_at"])
    op.create_table(
        "upload_parts",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column(
            "upload_id", sa.Text, sa.ForeignKey("uploads.id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("key", sa.Text, sa.ForeignKey("blobs.key"), nullable=False),
    )
    op.create_index("upload_parts_by_upload", "upload_parts", ["upload_id"])


def _described() -> list[sa.Column[Any]]:
    return [
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("filename", sa.Text, nullable=False),
        sa.Column("content_type", sa.Text, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
    ]
