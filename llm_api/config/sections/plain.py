"""The plain endpoints: what the small servers they stand in for had as settings."""

from pydantic import BaseModel, Field


class PlainSettings(BaseModel):
    generate_max_tokens: int = Field(
        default=200, ge=1, description="Tokens that `POST /generate` may be asked for at most."
    )
