"""Responses that begin a thread anew, and which thread that is."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0007"
down_revision: Final = "0006"


def upgrade() -> None:
    op.add_column("responses", sa.Column("thread_id", sa.Text))
