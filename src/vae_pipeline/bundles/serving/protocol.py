"""The Open Inference Protocol's (v2) words for a graph's inputs and outputs.

Source: https://github.com/kserve/open-inference-protocol, Tensor Data Types and Model Metadata.
"""

from collections.abc import Mapping
from typing import Any

from vae_pipeline.runtime.manifest import TensorEntry

DATATYPES = {"uint8": "UINT8", "int32": "INT32", "int64": "INT64", "float32": "FP32"}
"""The protocol's name of each type that a graph takes or gives."""


def metadata(described: Mapping[str, TensorEntry]) -> list[dict[str, Any]]:
    """A graph's inputs or outputs as bundle.json has them, as the protocol does; -1 is a free size."""
    return [
        {"name": name, "datatype": DATATYPES[tensor.dtype], "shape": _sizes(tensor)}
        for name, tensor in described.items()
    ]


def _sizes(tensor: TensorEntry) -> list[int]:
    return [side if isinstance(side, int) else -1 for side in tensor.shape]
