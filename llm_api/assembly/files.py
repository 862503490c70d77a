"""The files as the settings have them."""

from llm_api.config.settings import Settings
from llm_api.core.files.options import FileOptions, S3Options


def file_options(settings: Settings) -> FileOptions:
    """Where files are kept, and how much of them."""
    return FileOptions(
        settings.data_dir / "files",
        settings.files_max_bytes,
        settings.files_owner_max_bytes,
        None if settings.files_s3_bucket is None else _s3(settings, settings.files_s3_bucket),
    )


def _s3(settings: Settings, bucket: str) -> S3Options:
    secret, url = settings.files_s3_secret_access_key, settings.files_s3_url
    return S3Options(
        bucket,
        None if url is None else str(url).rstrip("/"),
        settings.files_s3_region,
        settings.files_s3_access_key_id,
        None if secret is None else secret.get_secret_value(),
        settings.files_s3_prefix,
    )
