"""A repository is what each server reads, and says of the graphs what they are."""

import json
from dataclasses import replace

import onnx
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from tests.cli.test_cli import invoke
from tests.lanes import names_of_graphs

from vae_pipeline.bundles.serving.repository import write_repository
from vae_pipeline.runtime import Bundle
from vae_pipeline.runtime.verification import verify
from vae_pipeline.system.errors import BundleError, OutputError

TYPES = {onnx.TensorProto.UINT8: "UINT8", onnx.TensorProto.INT64: "INT64", onnx.TensorProto.FLOAT: "FP32"}
LANES = ["lane", "conditional_lane"]


def message(name, *fields):
    """A message type; text is read by names, so the numbers are free."""
    field = descriptor_pb2.FieldDescriptorProto
    kinds = {str: field.TYPE_STRING, int: field.TYPE_INT64}
    described = descriptor_pb2.DescriptorProto(name=name)
    for number, (key, kind, repeated) in enumerate(fields, 1):
        label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
        if isinstance(kind, type):
            described.field.add(name=key, number=number, type=kinds[kind], label=label)
        else:
            enum = kind == "DataType"
            type_ = field.TYPE_ENUM if enum else field.TYPE_MESSAGE
            described.field.add(name=key, number=number, type=type_, type_name=f".inference.{kind}", label=label)
    return described


@pytest.fixture(scope="module")
def model_config():
    """Triton's ModelConfig, as much of it as is written; `test_servers` asks Triton's own client."""
    file = descriptor_pb2.FileDescriptorProto(name="model_config.proto", package="inference", syntax="proto3")
    file.enum_type.add(name="DataType")
    for number, name in enumerate(["INVALID", *TYPES.values()]):
        file.enum_type[0].value.add(name=f"TYPE_{name}", number=number)
    tensor = [
        ("name", str, False), ("data_type", "DataType", False), ("dims", int, True), ("reshape", "Reshape", False),
    ]  # fmt: skip
    file.message_type.extend(
        [
            message("Reshape", ("shape", int, True)),
            message("Tensor", *tensor),
            message("DynamicBatching"),
            message(
                "ModelConfig",
                ("name", str, False), ("backend", str, False), ("max_batch_size", int, False),
                ("input", "Tensor", True), ("output", "Tensor", True), ("dynamic_batching", "DynamicBatching", False),
            ),
        ]
    )  # fmt: skip
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("inference.ModelConfig"))


def tensors_of(values):
    """Name, type and shape of a graph's inputs or outputs, as ONNX has them; -1 is the batch."""
    tensors = [(value.name, value.type.tensor_type) for value in values]
    assert all(kind.shape.dim[0].dim_param == "batch" for _, kind in tensors)
    return [(name, TYPES[kind.elem_type], [-1, *(d.dim_value for d in kind.shape.dim[1:])]) for name, kind in tensors]


def as_the_graph_takes(tensor, enum):
    """A tensor of a config, as the graph behind it has it: Triton takes [batch, 1] for a graph's [batch]."""
    dims = list(tensor.reshape.shape if tensor.HasField("reshape") else tensor.dims)
    assert list(tensor.dims) == (dims or [1])
    return tensor.name, enum.values_by_number[tensor.data_type].name.removeprefix("TYPE_"), [-1, *dims]


@pytest.mark.parametrize("which", LANES)
class TestTriton:
    @pytest.fixture
    def repository(self, which, request, tmp_path):
        write_repository(Bundle.load(request.getfixturevalue(which).bundle), "triton", tmp_path / "repository")
        return tmp_path / "repository"

    def test_the_config_is_the_graph(self, which, repository, model_config, request):
        recipe = json.loads((repository / "bundle.json").read_text())["recipe"]
        folders = {path.name for path in repository.iterdir() if path.is_dir()}
        assert folders == {f"{recipe}_{graph}" for graph in names_of_graphs(request.getfixturevalue(which))}
        for name in folders:
            config = text_format.Parse((repository / name / "config.pbtxt").read_text(), model_config())
            graph = onnx.load(repository / name / "1" / "model.onnx").graph
            assert (config.name, config.backend, config.max_batch_size) == (name, "onnxruntime", 256)
            assert config.HasField("dynamic_batching")
            for tensors, values in ((config.input, graph.input), (config.output, graph.output)):
                enum = model_config.DESCRIPTOR.file.enum_types_by_name["DataType"]
                assert [as_the_graph_takes(tensor, enum) for tensor in tensors] == tensors_of(values)

    def test_it_still_is_a_bundle(self, which, repository, request):
        assert [row.graph for row in verify(repository)] == names_of_graphs(request.getfixturevalue(which))
        assert not list(repository.glob("*.onnx"))
        bundle = request.getfixturevalue(which).bundle
        assert (repository / "MODEL_CARD.md").read_bytes() == (bundle / "MODEL_CARD.md").read_bytes()


@pytest.mark.parametrize("which", LANES)
def test_mlserver_is_told_what_the_graph_is(which, request, tmp_path):
    bundle = request.getfixturevalue(which).bundle
    said = invoke("repository", bundle, "--layout", "mlserver", "--out", tmp_path / "out")
    assert f"mlserver start {tmp_path / 'out'}" in said
    assert [row.graph for row in verify(tmp_path / "out")] == names_of_graphs(request.getfixturevalue(which))
    for path in sorted((tmp_path / "out").glob("*/model-settings.json")):
        settings = json.loads(path.read_text())
        assert settings["name"] == path.parent.name
        assert (path.parent / settings["parameters"]["uri"]).resolve() == tmp_path / "out"
        graph = onnx.load(tmp_path / "out" / f"{settings['parameters']['extra']['graph']}.onnx").graph
        for described, values in ((settings["inputs"], graph.input), (settings["outputs"], graph.output)):
            assert [tuple(tensor.values()) for tensor in described] == tensors_of(values)
    assert {path.name: path.read_bytes() for path in bundle.iterdir()}.items() <= {
        path.name: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.is_file()
    }.items()


def test_a_repository_is_written_anew_from_itself_or_in_the_other_layout(lane, tmp_path):
    invoke("repository", lane.bundle, "--layout", "mlserver", "--out", tmp_path / "one")
    invoke("repository", tmp_path / "one", "--layout", "triton", "--out", tmp_path / "two")
    invoke("repository", tmp_path / "two", "--layout", "mlserver", "--out", tmp_path / "three")
    one, three = (
        {path.relative_to(tmp_path / name).as_posix(): path.read_bytes() for path in (tmp_path / name).rglob("*.*")}
        for name in ("one", "three")
    )
    assert one == three
    invoke("repository", lane.bundle, "--layout", "triton", "--out", tmp_path / "one")
    assert not list((tmp_path / "one").rglob("model-settings.json"))


class TestMistakes:
    def refused(self, error, message, *arguments):
        with pytest.raises(error, match=message):
            invoke("repository", *arguments)

    def test_what_is_no_bundle(self, tmp_path):
        arguments = (tmp_path, "--layout", "triton", "--out", tmp_path.parent / "other")
        self.refused(BundleError, r"bundle\.json isn't there", *arguments)
        assert not (tmp_path.parent / "other").exists()

    def test_a_folder_of_other_things(self, lane, tmp_path):
        (tmp_path / "thesis.tex").write_text("kept")
        self.refused(OutputError, "holds other files", lane.bundle, "--layout", "triton", "--out", tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]

    def test_the_bundle_itself(self, lane):
        self.refused(OutputError, "overlap", lane.bundle, "--layout", "mlserver", "--out", lane.bundle)

    def test_an_unknown_layout(self, lane, tmp_path):
        message = "'kserve' is not one of 'triton', 'mlserver'"
        self.refused(AssertionError, message, lane.bundle, "--layout", "kserve", "--out", tmp_path / "out")

    def test_a_name_that_would_lead_elsewhere(self, lane, tmp_path):
        bundle = Bundle.load(lane.bundle)
        bundle = Bundle(bundle.folder, replace(bundle.manifest, recipe='../a "b'))
        names = write_repository(bundle, "triton", tmp_path / "out")
        assert names[0] == "___a__b_encoder"
        assert [path.name for path in tmp_path.iterdir()] == ["out"]
