"""Where files of `/v1/files` are kept, and how much of them."""

from pydantic import AnyHttpUrl, BaseModel, ByteSize, Field, SecretStr, model_validator

from llm_api.config.sections.field_types import Text


class FileSettings(BaseModel):
    files_max_bytes: ByteSize = Field(
        default=ByteSize(2 * 1024**3),
        ge=1,
        description="Bytes of one file at most. In one request `MAX_UPLOAD_BYTES` bounds it too;"
        " larger ones come in parts, by `/v1/uploads`.",
    )
    files_owner_max_bytes: ByteSize = Field(
        default=ByteSize(10 * 1024**3),
        ge=1,
        description="Bytes of all files of one key at most.",
    )
    files_s3_bucket: Text | None = Field(
        default=None,
        description="A bucket of S3, or of a storage like it, that keeps the bytes of files for"
        " several hosts; needs `llm_api[s3]`. Unset: a folder in `DATA_DIR`.",
    )
    files_s3_url: AnyHttpUrl | None = Field(
        default=None, description="Where that storage answers. Unset: Amazon's."
    )
    files_s3_region: Text | None = Field(default=None, description="Its region.")
    files_s3_access_key_id: Text | None = Field(
        default=None,
        description="The key that it asks for. Unset: that of the machine's role.",
    )
    files_s3_secret_access_key: SecretStr | None = Field(
        default=None, description="The secret of that key."
    )
    files_s3_prefix: str = Field(
        default="", description="What the names of objects begin with, in a bucket that others use."
    )

    @model_validator(mode="after")
    def _names_a_whole_bucket(self) -> "FileSettings":
        if (self.files_s3_access_key_id is None) != (self.files_s3_secret_access_key is None):
            raise ValueError("FILES_S3_SECRET_ACCESS_KEY: set it with FILES_S3_ACCESS_KEY_ID only")
        if self.files_s3_bucket is None and self.files_s3_url is not None:
            raise ValueError("FILES_S3_URL: needs FILES_S3_BUCKET")
        return self
