"""Writes LoRA adapters with random weights, which change what a model says, for any GGUF model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
from gguf import GGUFReader, GGUFWriter

RANK: Final = 2


def write_adapter(
    path: Path,
    model: Path,
    *,
    seed: int = 1,
    strength: float = 0.5,
    architecture: str | None = None,
    widen: int = 0,
) -> Path:
    """An adapter of every layer's `attn_q`, as convert_lora_to_gguf.py lays it out.

    `architecture` and `widen`, columns too many, make it one for another model.
    """
    reader = GGUFReader(model)
    field = reader.get_field("general.architecture")
    assert field is not None
    shapes: Mapping[str, tuple[int, int]] = {
        tensor.name: (int(tensor.shape[0]), int(tensor.shape[1]))
        for tensor in reader.tensors
        if tensor.name.endswith("attn_q.weight")
    }
    writer = GGUFWriter(path, architecture or str(field.contents()))
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(RANK))
    generator = np.random.default_rng(seed)
    for name, (columns, rows) in shapes.items():
        for part, shape in (("a", (RANK, columns + widen)), ("b", (rows, RANK))):
            weights = generator.normal(0.0, strength, shape).astype(np.float32)
            writer.add_tensor(f"{name}.lora_{part}", weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
