"""Triton's config.pbtxt of a graph."""

from collections.abc import Mapping

from vae_pipeline.bundles.serving.protocol import metadata
from vae_pipeline.runtime.graphs import BATCH
from vae_pipeline.runtime.manifest import GraphEntry, TensorEntry

# A config's shape may not be empty, so Triton takes and gives [batch, 1] where the graph has [batch].
SCALAR = "dims: [ 1 ]\n    reshape: { shape: [ ] }"


def model_config(name: str, described: GraphEntry) -> str:
    """The config, as protobuf text, of a graph that bundle.json describes.

    Rows don't know of each other, so Triton may join the requests that wait at once (`dynamic_batching`); without
    a delay of its own, none waits for another.

    Source: https://github.com/triton-inference-server/server, docs/user_guide/model_configuration.md.
    """
    return (
        f'name: "{name}"\n'
        'backend: "onnxruntime"\n'
        f"max_batch_size: {BATCH}\n"
        f"input [\n{_tensors(described.inputs)}\n]\n"
        f"output [\n{_tensors(described.outputs)}\n]\n"
        "dynamic_batching { }\n"
    )


def _tensors(described: Mapping[str, TensorEntry]) -> str:
    return ",\n".join(
        "  {\n"
        f'    name: "{tensor["name"]}"\n'
        f"    data_type: TYPE_{tensor['datatype']}\n"
        f"    {_dims(tensor['shape'][1:])}\n"
        "  }"
        for tensor in metadata(described)
    )


def _dims(event: list[int]) -> str:
    return f"dims: [ {', '.join(map(str, event))} ]" if event else SCALAR
