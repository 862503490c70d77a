"""The request log: one line of JSON for each request."""

from pathlib import Path

from pydantic import BaseModel, ByteSize, Field

from llm_api.config.sections.field_types import HomePath


class RequestLogSettings(BaseModel):
    log_file: HomePath = Field(
        default=Path("logs/log.jsonl"),
        description="The request log, a line of JSON for each request; `/dev/null`: none.",
    )
    log_max_bytes: ByteSize = Field(
        default=ByteSize(100_000_000),
        ge=4096,
        description="Size from which the request log is begun anew, such as `100MB`.",
    )
    log_backups: int = Field(
        default=5, ge=0, le=1000, description="Earlier files of it that are kept: `log.jsonl.1`, …"
    )
    log_content: bool = Field(
        default=False, description="Write prompts and answers into the request log as well."
    )
