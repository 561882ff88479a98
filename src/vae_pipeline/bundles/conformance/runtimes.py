"""The runtimes that a bundle is tried in."""

from enum import StrEnum
from typing import assert_never


class Runtime(StrEnum):
    """`reference` is onnx's own evaluator; `onnxruntime-web` runs in Node, `chromium` is the same in a browser."""

    ONNXRUNTIME = "onnxruntime"
    REFERENCE = "reference"
    OPENVINO = "openvino"
    OPENCV = "opencv"
    TRACT = "tract"
    MNN = "mnn"
    ONNXRUNTIME_NODE = "onnxruntime-node"
    ONNXRUNTIME_WEB = "onnxruntime-web"
    CHROMIUM = "chromium"

    @property
    def distribution(self) -> str | None:
        """The name on PyPI; None for those in JavaScript."""
        match self:
            case Runtime.ONNXRUNTIME | Runtime.OPENVINO | Runtime.TRACT | Runtime.MNN:
                return self.value
            case Runtime.REFERENCE:
                return "onnx"
            case Runtime.OPENCV:
                return "opencv-python-headless"
            case Runtime.ONNXRUNTIME_NODE | Runtime.ONNXRUNTIME_WEB | Runtime.CHROMIUM:
                return None
            case _:
                assert_never(self)
