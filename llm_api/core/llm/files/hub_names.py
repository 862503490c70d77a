"""What people call a model on a hub, and which file of its repository they mean. Pure.

    owner/repository/file.gguf     that file; of a split model the first
    owner/repository:Q4_K_M        the file of that quantisation
    owner/repository               its only file, or that of the usual quantisation

`hf.co/` or `huggingface.co/` may stand in front, as other programs write it: it means the hub that
this server is set to, whichever that is. No other host can be named.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from llm_api.core.errors import InvalidRequestError, NotOnHubError
from llm_api.core.llm.files.parts import is_later_part

USUAL: Final = "Q4_K_M"
MAX_NAME: Final = 300
_HOSTS: Final = ("hf.co/", "huggingface.co/")
_SHOWN: Final = 20
_PART: Final = r"[\w.-]+"
_NAME: Final = re.compile(
    rf"(?P<repository>{_PART}/{_PART})(?:/(?P<file>[\w./+-]+\.gguf)|:(?P<tag>{_PART}))?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class HubName:
    """A model as it was named: by its file, or by a quantisation, or by neither."""

    repo_id: str
    filename: str | None = None
    quantisation: str | None = None


def to_hub_name(name: str) -> HubName:
    """Raises InvalidRequestError for a URL, NotOnHubError for what names no repository."""
    if "://" in name or len(name) > MAX_NAME:
        raise InvalidRequestError(
            "A model is named as owner/repository/file.gguf: it is fetched from the hub that this"
            " server is set to, from no other address.",
            param="model",
        )
    for host in _HOSTS:
        name = name.removeprefix(host)
    match = _NAME.fullmatch(name)
    if match is None or ".." in name:
        raise NotOnHubError(
            f"{name!r} names no model of the hub; name it as owner/repository/file.gguf or as"
            " owner/repository:Q4_K_M.",
            param="model",
        )
    tag = match["tag"]
    return HubName(match["repository"], match["file"], None if tag == "latest" else tag)


def choose_file(repo_id: str, files: Sequence[str], quantisation: str | None) -> str:
    """The file that is meant, of those in the repository. Raises NotOnHubError with all of them."""
    models = [one for one in files if not is_later_part(one) and "mmproj" not in one]
    if quantisation is None and len(models) == 1:
        return models[0]
    fitting = [one for one in models if _is_made_as(one, quantisation or USUAL)]
    if len(fitting) == 1:
        return fitting[0]
    if not models:
        raise NotOnHubError(f"The repository {repo_id} has no GGUF file.", param="model")
    shown = ", ".join(models[:_SHOWN])
    more = f" and {len(models) - _SHOWN} more" if len(models) > _SHOWN else ""
    what = "several that may be meant" if fitting else f"no one file of {quantisation or USUAL}"
    raise NotOnHubError(
        f"The repository {repo_id} has {what}; name one of its files: {shown}{more}.",
        param="model",
    )


def _is_made_as(file: str, quantisation: str) -> bool:
    wanted = re.escape(quantisation.casefold().removesuffix(".gguf"))
    return (
        re.search(rf"(^|[-._/]){wanted}(-\d{{5}}-of-\d{{5}})?\.gguf$", file.casefold()) is not None
    )
