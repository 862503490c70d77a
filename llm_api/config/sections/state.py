"""Where responses, conversations, jobs and what is known of files are kept, and how long."""

from urllib.parse import urlsplit

from pydantic import BaseModel, ByteSize, Field, SecretStr, field_validator, model_validator

from llm_api.core.utils.sealing import is_key


class StateSettings(BaseModel):
    database_url: SecretStr | None = Field(
        default=None,
        description="A PostgreSQL database for responses, conversations, jobs and what is known of"
        " files, which several servers share, such as `postgresql://llm_api:secret@db/llm_api`;"
        " needs `llm_api[postgresql]`. Unset: a file of SQLite in `DATA_DIR`.",
    )
    responses_days: int = Field(
        default=30,
        ge=0,
        le=36_500,
        description="Days that a response is kept. `0`: none is stored, whatever requests say.",
    )
    usage_days: int = Field(
        default=90,
        ge=0,
        le=3_650,
        description="Days for which it is kept what each key has used, by day and model. `0`: it is"
        " not counted. Nor is it where no key is asked for.",
    )
    state_max_bytes: ByteSize = Field(
        default=ByteSize(4 * 1024**3),
        ge=1024**2,
        description="Bytes of text that are kept in all, such as `4GiB`. The oldest responses make"
        " room.",
    )

    encryption_keys: SecretStr | None = Field(
        default=None,
        description="Fernet keys, separated by commas, for `reasoning.encrypted_content`: the first"
        " encrypts, all decrypt. Several servers that share clients need the same. Unset: a key in"
        " `DATA_DIR`, made when it is first needed.",
    )

    @field_validator("encryption_keys")
    @classmethod
    def _are_keys(cls, keys: SecretStr | None) -> SecretStr | None:
        if keys is not None and not all(map(is_key, keys.get_secret_value().split(","))):
            raise ValueError(
                "ENCRYPTION_KEYS: each must be 32 bytes in URL-safe base64, as `python -c 'from"
                " cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'` makes"
            )
        return keys

    @model_validator(mode="after")
    def _is_postgresql(self) -> "StateSettings":
        url = "postgres:" if self.database_url is None else self.database_url.get_secret_value()
        if urlsplit(url).scheme not in {"postgres", "postgresql"}:
            raise ValueError("DATABASE_URL: must begin with postgresql://")
        return self
