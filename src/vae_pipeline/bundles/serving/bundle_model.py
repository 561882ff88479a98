"""MLServer's side: a graph of a bundle that answers requests of the Open Inference Protocol.

Needs what `vae_pipeline.runtime` needs, and mlserver; `vae-pipeline repository` writes the settings that name it.
"""

import numpy as np
from mlserver import MLModel
from mlserver.errors import InferenceError
from mlserver.types import InferenceRequest, InferenceResponse, RequestInput, ResponseOutput
from mlserver.utils import get_model_uri

from vae_pipeline.bundles.serving.protocol import DATATYPES
from vae_pipeline.runtime.bundle import Array, Bundle
from vae_pipeline.system.errors import DataError


class BundleModel(MLModel):  # type: ignore[misc]
    """The graph that `parameters.extra.graph` names, of the bundle at `parameters.uri`."""

    async def load(self) -> bool:
        """Check the bundle's files and open the graph, so that what is wrong is found before the first request."""
        self.bundle = Bundle.load(await get_model_uri(self.settings))
        self.graph: str = self.settings.parameters.extra["graph"]
        self.bundle.session(self.graph)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer with the outputs that were asked for; with all, where none was named.

        Raises:
            InferenceError: the request doesn't fit the graph; the server answers 400, with what was given and wanted.
        """
        try:
            answers = self.bundle.answer(self.graph, {tensor.name: self._array(tensor) for tensor in payload.inputs})
        except DataError as error:
            raise InferenceError(f"{self.name}: {error}") from error
        names = [output.name for output in payload.outputs or ()] or list(answers)
        if not set(names) <= set(answers):
            raise InferenceError(
                f"{self.name}: outputs {', '.join(names)} were asked for; it gives {', '.join(answers)}"
            )
        return InferenceResponse(
            model_name=self.name,
            model_version=self.version,
            outputs=[self._tensor(name, answers[name]) for name in names],
        )

    def _array(self, tensor: RequestInput) -> Array:
        """The values as they were sent: numpy would wrap or cut what its type can't hold, so the bundle casts them."""
        wanted = self.bundle.manifest.graphs[self.graph].inputs.get(tensor.name)
        if wanted is not None and tensor.datatype != DATATYPES[wanted.dtype]:
            raise DataError(f"{tensor.name} was given as {tensor.datatype}; wanted {DATATYPES[wanted.dtype]}")
        try:
            return np.asarray(tensor.data.root).reshape(tensor.shape)
        except (ValueError, OverflowError) as error:
            raise DataError(f"{tensor.name} doesn't hold the values of its shape {list(tensor.shape)}") from error

    def _tensor(self, name: str, values: Array) -> ResponseOutput:
        """An output in the graph's own shape, where the codec would make [batch, 1] of [batch]."""
        return ResponseOutput(
            name=name, datatype=DATATYPES[str(values.dtype)], shape=list(values.shape), data=values.ravel().tolist()
        )
