"""Pulls and what was deleted, domain to wire. Pure."""

from llm_api.api.models.administration import DeletedModelAnswer, ModelPull
from llm_api.core.llm.administration.administration import DeletedModel
from llm_api.core.llm.administration.pulls import Pull


def to_model_pull(pull: Pull) -> ModelPull:
    speed = pull.bytes_per_second
    return ModelPull(
        id=pull.id,
        object="model.pull",
        model=pull.name,
        repository=pull.repo_id,
        file=pull.filename,
        state=pull.state,
        bytes_done=pull.done,
        bytes_total=pull.total,
        bytes_per_second=None if speed is None else int(speed),
        served_as=pull.model,
        error=pull.error or None,
        created_at=int(pull.created_at),
        started_at=None if pull.started_at is None else int(pull.started_at),
        ended_at=None if pull.ended_at is None else int(pull.ended_at),
    )


def to_deleted_model(deleted: DeletedModel) -> DeletedModelAnswer:
    return DeletedModelAnswer(
        id=deleted.id, object="model", deleted=True, freed_bytes=deleted.freed_bytes
    )
