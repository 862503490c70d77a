"""Who may use the server, and how much of it."""

from urllib.parse import urlsplit

from pydantic import BaseModel, ByteSize, Field, SecretStr, model_validator

from llm_api.config.sections.field_types import HomePath, Names


class AccessSettings(BaseModel):
    api_key: SecretStr | None = Field(
        default=None,
        description="The key that requests need, with every right. Unset, and no `API_KEYS_FILE`:"
        " none is needed, on loopback only.",
    )
    api_keys_file: HomePath | None = Field(
        default=None,
        description="A YAML or JSON file of keys, which `llm-api keys` writes. Read again when it"
        " changes.",
    )
    allow_unauthenticated: bool = Field(
        default=False, description="Let anyone who reaches `HOST` in, though no key is set."
    )
    allowed_hosts: Names = Field(
        default=(),
        description="Names that the Host header may have, separated by commas, besides those of"
        " this machine. Unset: any, where a key is needed.",
    )
    cors_origins: Names = Field(
        default=(),
        description="Origins whose pages may use the server in a browser, such as"
        " `https://chat.example`, separated by commas.",
    )
    key_requests_per_minute: int | None = Field(
        default=None,
        ge=1,
        description="Requests per minute of a key whose entry does not say it; without keys, of"
        " all together. Unset: unlimited.",
    )
    key_tokens_per_minute: int | None = Field(
        default=None, ge=1, description="Its tokens per minute, of prompts and answers."
    )
    key_tokens_per_day: int | None = Field(
        default=None, ge=1, description="Its tokens per day, by UTC."
    )
    key_concurrency: int | None = Field(
        default=None, ge=1, description="Its requests at the same time."
    )
    redis_url: SecretStr | None = Field(
        default=None,
        description="Redis that several servers count limits in, such as"
        " `redis://127.0.0.1:6379/0`. Unset: each counts for itself.",
    )
    rate_limit_fail_open: bool = Field(
        default=False,
        description="While Redis is away, let limited keys pass uncounted, instead of answering"
        " them 503.",
    )
    max_body_bytes: ByteSize = Field(
        default=ByteSize(16 * 1024 * 1024),
        ge=1024,
        description="Size that the body of a request may have, such as `16MiB`.",
    )
    max_upload_bytes: ByteSize = Field(
        default=ByteSize(200_000_000),
        ge=1024,
        description="Size of one that carries files to `/v1/rag/files`.",
    )

    @model_validator(mode="after")
    def _can_be_sent(self) -> "AccessSettings":
        key = "" if self.api_key is None else self.api_key.get_secret_value()
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise ValueError("API_KEY: must be printable ASCII without spaces, to fit in a header")
        return self

    @model_validator(mode="after")
    def _has_an_address(self) -> "AccessSettings":
        url = "redis:" if self.redis_url is None else self.redis_url.get_secret_value()
        if urlsplit(url).scheme not in {"redis", "rediss", "unix"}:
            raise ValueError("REDIS_URL: must begin with redis://, rediss:// or unix://")
        return self

    @model_validator(mode="after")
    def _are_origins(self) -> "AccessSettings":
        for origin in self.cors_origins:
            parts = urlsplit(origin)
            if not parts.netloc or origin != f"{parts.scheme}://{parts.netloc}":
                raise ValueError(
                    f"CORS_ORIGINS: must be origins such as https://chat.example, without a path,"
                    f" not {origin!r}"
                )
        return self
