"""A model of transformers' as the engine's Runner: one padded batch, one forward pass a step.

```
row 0   - - - a b c | x y      `-` is padding, masked out; `|` is where the answer begins.
row 1   a b c d e f | x y      All rows end at the same place, where the next token is drawn.
row 2   - a b c d e | x        Left: it is selected away before the next pass.
```

The interface is the one that transformers' own `generate` uses, so that any causal model it runs
should run here. Compute thread only.
"""

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from llm_api.core.llm.backends.drawing import Drawer, Logits
from llm_api.core.llm.backends.transformers_vocabulary import TransformersVocabulary
from llm_api.core.llm.engine.plan import StepPlan, TokenSpan
from llm_api.core.llm.engine.runner import DrawingRules, Drawn
from llm_api.core.llm.engine.sampling import logprobs

if TYPE_CHECKING:
    import torch


class TransformersRunner:
    """Executes the plans of a `BatchScheduler`."""

    def __init__(self, model: Any, vocabulary: TransformersVocabulary) -> None:
        """`model` is a causal language model of transformers', a class without useful types."""
        self._model = model
        self._vocabulary = vocabulary
        self._optional = inspect.signature(model.forward).parameters.keys()
        self._answers: dict[int, tuple[Drawer, int | None]] = {}
        self._batch: _Batch | None = None

    def open(self, sequence_id: int, rules: DrawingRules, prompt: tuple[int, ...]) -> None:
        self._answers[sequence_id] = Drawer(rules, prompt), rules.top_logprobs

    def close(self, sequence_id: int) -> None:
        self._answers.pop(sequence_id, None)
        if not self._answers:
            self._batch = None  # its memory can be large

    def execute(self, plan: StepPlan) -> dict[int, list[Drawn]]:
        import torch  # noqa: PLC0415 - see above

        with torch.inference_mode():
            if self._batch is None or plan.spans[0].start == 0:
                self._batch = None  # frees the last one before the next needs room
                self._batch = _Batch(plan.spans, self._model.device)
            else:
                self._batch.go_on(plan.spans)
            rows = self._forward(self._batch)
        return {
            span.sequence_id: [self._draw(span.sequence_id, logits)]
            for span, logits in zip(plan.spans, rows, strict=True)
        }

    def shut_down(self) -> None:
        import torch  # noqa: PLC0415 - see above

        self._batch = self._model = None
        self._answers.clear()
        torch.cuda.empty_cache()  # which PyTorch would keep; nothing where no GPU is in use

    def _forward(self, batch: "_Batch") -> NDArray[np.float32]:
        """Logits of the next tokens, shape (rows, vocabulary). Blocks."""
        optional = {"position_ids": batch.positions, "logits_to_keep": 1}
        output = self._model(
            input_ids=batch.tokens,
            attention_mask=batch.mask,
            past_key_values=batch.cache,
            use_cache=True,
            **{name: value for name, value in optional.items() if name in self._optional},
        )
        batch.cache = output.past_key_values
        rows: NDArray[np.float32] = output.logits[:, -1].float().cpu().numpy()
        return rows

    def _draw(self, sequence_id: int, logits: Logits) -> Drawn:
        drawer, top = self._answers[sequence_id]
        token = drawer.draw(logits)
        if top is None:
            return Drawn(token)
        return Drawn(token, logprobs(logits, token, top, self._vocabulary.token_bytes))


class _Batch:
    """The tensors of a batch, each (rows, tokens): in `mask` all tokens so far, else the next."""

    def __init__(self, spans: Sequence[TokenSpan], device: "torch.device") -> None:
        import torch  # noqa: PLC0415 - see above

        self._ids = [span.sequence_id for span in spans]
        shape = len(spans), max(len(span.tokens) for span in spans)
        tokens, mask = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        for row, span in enumerate(spans):
            tokens[row, -len(span.tokens) :] = span.tokens
            mask[row, -len(span.tokens) :] = 1
        self._device = device
        self.cache: Any = None
        self.tokens = torch.from_numpy(tokens).to(device)
        self.mask = torch.from_numpy(mask).to(device)
        self.positions = (self.mask.cumsum(-1) - 1).clamp(min=0)

    def go_on(self, spans: Sequence[TokenSpan]) -> None:
        """One more token for each of these rows; the others leave."""
        import torch  # noqa: PLC0415 - see above

        ids = [span.sequence_id for span in spans]
        if ids != self._ids:
            self._select([self._ids.index(sequence_id) for sequence_id in ids])
            self._ids = ids
        self.tokens = torch.tensor([[span.tokens[0]] for span in spans], device=self._device)
        self.positions = torch.tensor([[span.start] for span in spans], device=self._device)
        self.mask = torch.cat([self.mask, self.mask.new_ones((len(spans), 1))], dim=-1)

    def _select(self, rows: list[int]) -> None:
        import torch  # noqa: PLC0415 - see above

        kept = torch.tensor(rows, device=self._device)
        self.mask = self.mask[kept]
        self.cache.batch_select_indices(kept)
