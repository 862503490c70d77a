"""The errors of the core that a client is told of. Knows no HTTP: `api/errors.py` gives statuses.

LLMAPIError
├── InvalidRequestError            the caller must change the request
│   ├── MissingParameterError      what other parameters make necessary is not there
│   ├── UnsupportedParameterError  a parameter that would change meaning, and is not honoured
│   ├── ContextLengthExceededError the prompt leaves no room for one generated token
│   ├── InvalidArgumentsError      arguments that do not fit a function's parameters
│   ├── UnreadableFileError        a file that no text can be taken from
│   ├── TooManyDeletionsError      a list lacks so much that its sender has to confirm it
│   ├── FileTooLargeError          a file beyond the bound on one
│   └── VectorStoreExpiredError    nobody has asked it for so long that its documents are gone
├── ModelNotFoundError             no model of that name is served
├── ModelInUseError                a model that cannot be taken away while it is used
├── KeyNotFoundError               no API key has that name
├── KeysReadOnlyError              the keys cannot be changed here, or not this one
│   ├── KeyExistsError             a key of that name is there already
│   └── LastAdminKeyError          without it nobody could manage keys any more
├── FunctionNotFoundError          no function of that name is registered
├── CollectionNotFoundError        no collection of that name is in the vector store
├── DocumentNotFoundError          no document of that id is in the collection
├── StoredFileNotFoundError        no file of that id is stored for this key
├── UploadNotFoundError            no upload of that id was begun with this key, or it has expired
├── VectorStoreNotFoundError       no collection has that name, or is one for this key
├── FileNotInStoreError            no file of that id is in the vector store, or on its way there
├── FileBatchNotFoundError         no batch of that id was attached to it, or long ago
├── JobNotFoundError               no job of that id was started, or it ended long ago
├── ResponseNotFoundError          no response of that id is stored for this key
├── ConversationNotFoundError      no conversation of that id is stored for this key
├── RequestNotFoundError           no request of that id is being answered for this key
├── ItemNotFoundError              no item of that id is in the response or conversation
├── EmbeddingMismatchError         a collection was built with another embedding model
├── PermissionDeniedError          the caller's key does not permit it
│   └── ModelForbiddenError        the caller's key does not permit this model
├── OverloadedError                the queue is full; try again after a while
├── RateLimitedError               the caller has used what it may use
├── UnavailableError               the model is not loaded (yet), or its server is not there
│   ├── StateUnavailableError      the database of what outlives a request does not answer
│   ├── FunctionsBusyError         every thread for functions is held by one that does not end
│   └── VectorStoreUnavailableError  the vector store does not answer (in time)
│       └── VectorStoreLockedError   another process has the vector store's folder open
├── UpstreamError                  another server, asked in our stead, failed; a retry may succeed
│   └── UpstreamTimeoutError       it kept silent for too long
├── VectorStoreError               the vector store refused what it should have done
│   └── StorageFullError           there is no room to store more
├── StateError                     that database refused what it should have done
│   └── StateFullError             there is no room in it to store more
│       └── FilesFullError         the files of this key, or the disk, leave no room for another
├── FunctionError                  a function was run and gave no result
│   ├── FunctionFailedError        it raised
│   ├── FunctionTimeoutError       it took too long
│   └── FunctionResultError        its result is too large, or has no JSON form
├── InvalidFunctionError           what was registered cannot be offered to a model
├── GenerationError                the engine failed under this request; a retry may succeed
├── EmbeddingError                 the embedding model failed on these texts
├── ModelFileError                 a model file is absent, truncated or no GGUF
└── DownloadError                  a model could not be fetched
    ├── NotOnHubError              the hub has no such repository, or no such file in it
    ├── NoDiskSpaceError           it would not fit on the disk
    └── TransferEndedError         the hub or the network gave out; what arrived is kept
"""

import re
from typing import ClassVar, Final

_ABSOLUTE_PATH: Final = re.compile(r"(?<![\w:/.-])/(?:[^\s'\"`/]+/)+([^\s'\"`/]+)")


def without_folders(text: str) -> str:
    """A reason as strangers may read it: of every absolute path its last part. Pure.

    Nobody who sends requests needs to know where files lie on this machine. URLs stay as they are.
    Does not cover folders with a space in their names.
    """
    return _ABSOLUTE_PATH.sub(r"\1", text)


class LLMAPIError(Exception):
    """Base of the tree. `str(error)` is one sentence that says what to do."""

    code: ClassVar[str] = "internal_error"

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


class InvalidRequestError(LLMAPIError):
    code = "invalid_request"


class MissingParameterError(InvalidRequestError):
    code = "missing_required_parameter"


class UnsupportedParameterError(InvalidRequestError):
    code = "unsupported_parameter"


class ContextLengthExceededError(InvalidRequestError):
    code = "context_length_exceeded"


class InvalidArgumentsError(InvalidRequestError):
    """`param` is the path of the first bad argument, where there is one."""

    code = "invalid_arguments"


class UnreadableFileError(InvalidRequestError):
    code = "unreadable_file"


class TooManyDeletionsError(InvalidRequestError):
    code = "too_many_deletions"


class FileTooLargeError(InvalidRequestError):
    code = "file_too_large"


class ModelNotFoundError(LLMAPIError):
    code = "model_not_found"


class ModelInUseError(LLMAPIError):
    code = "model_in_use"


class KeyNotFoundError(LLMAPIError):
    code = "key_not_found"


class KeysReadOnlyError(LLMAPIError):
    code = "keys_read_only"


class KeyExistsError(KeysReadOnlyError):
    code = "key_exists"


class LastAdminKeyError(KeysReadOnlyError):
    code = "last_admin_key"


class FunctionNotFoundError(LLMAPIError):
    code = "function_not_found"


class CollectionNotFoundError(LLMAPIError):
    code = "collection_not_found"


class DocumentNotFoundError(LLMAPIError):
    code = "document_not_found"


class StoredFileNotFoundError(LLMAPIError):
    code = "file_not_found"


class UploadNotFoundError(LLMAPIError):
    code = "upload_not_found"


class VectorStoreNotFoundError(LLMAPIError):
    code = "vector_store_not_found"


class VectorStoreExpiredError(InvalidRequestError):
    code = "vector_store_expired"


class FileNotInStoreError(LLMAPIError):
    code = "vector_store_file_not_found"


class FileBatchNotFoundError(LLMAPIError):
    code = "file_batch_not_found"


class JobNotFoundError(LLMAPIError):
    code = "job_not_found"


class ResponseNotFoundError(LLMAPIError):
    code = "response_not_found"


class ConversationNotFoundError(LLMAPIError):
    code = "conversation_not_found"


class RequestNotFoundError(LLMAPIError):
    code = "request_not_found"


class ItemNotFoundError(LLMAPIError):
    code = "item_not_found"


class EmbeddingMismatchError(LLMAPIError):
    code = "embedding_mismatch"


class PermissionDeniedError(LLMAPIError):
    code = "insufficient_permissions"


class ModelForbiddenError(PermissionDeniedError):
    code = "model_not_allowed"


class OverloadedError(LLMAPIError):
    """Carries `retry_after_seconds`, an estimate from measured speed."""

    code = "queue_full"

    def __init__(self, message: str, *, retry_after_seconds: float) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class RateLimitedError(LLMAPIError):
    """`retry_after_seconds` says when there is room again, None where there never will be."""

    code = "rate_limit_exceeded"

    def __init__(self, message: str, *, retry_after_seconds: float | None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class UnavailableError(LLMAPIError):
    """`retry_after_seconds` says when a retry may do better, None where that is unknown."""

    code = "model_unavailable"

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class StateUnavailableError(UnavailableError):
    code = "state_unavailable"


class FunctionsBusyError(UnavailableError):
    code = "functions_busy"


class VectorStoreUnavailableError(UnavailableError):
    code = "vector_store_unavailable"


class UpstreamError(LLMAPIError):
    code = "upstream_failed"


class UpstreamTimeoutError(UpstreamError):
    code = "upstream_timeout"


class VectorStoreError(LLMAPIError):
    code = "vector_store_failed"


class CollectionDamagedError(VectorStoreError):
    code = "collection_damaged"


class StorageFullError(VectorStoreError):
    code = "storage_full"


class VectorStoreLockedError(VectorStoreUnavailableError):
    code = "vector_store_locked"


class StateError(LLMAPIError):
    code = "state_failed"


class StateFullError(StateError):
    code = "state_full"


class FilesFullError(StateFullError):
    code = "files_full"


class FunctionError(LLMAPIError):
    code = "function_error"


class FunctionFailedError(FunctionError):
    code = "function_failed"


class FunctionTimeoutError(FunctionError):
    code = "function_timeout"


class FunctionResultError(FunctionError):
    code = "function_result_invalid"


class InvalidFunctionError(LLMAPIError):
    code = "function_invalid"


class GenerationError(LLMAPIError):
    code = "generation_failed"


class EmbeddingError(LLMAPIError):
    code = "embedding_failed"


class ModelFileError(LLMAPIError):
    code = "model_file_invalid"


class DownloadError(LLMAPIError):
    code = "download_failed"


class NotOnHubError(DownloadError):
    code = "model_not_found"


class NoDiskSpaceError(DownloadError):
    code = "storage_full"


class TransferEndedError(DownloadError):
    code = "transfer_ended"
