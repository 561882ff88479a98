"""A program whose operators ONNX has isn't traced a second time, which takes half of the exporter's time.

After `torch.export` has traced a module, torch's exporter traces what it found once more, to take operators apart that
ONNX lacks. Few programs of ours have any but those that are replaced here, one for one.
"""

import importlib
from collections.abc import Callable
from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram

ATEN = torch.ops.aten


def skip_second_trace() -> None:
    """Have torch's exporter trace once where once is enough; where its internals are others, as often as it does."""
    try:
        passes: Any = importlib.import_module("torch.onnx._internal.exporter._fx_passes")
    except ImportError:
        return
    traced_again = getattr(passes, "decompose_with_registry", None)
    if traced_again is not None and not isinstance(traced_again, _WhereNeeded):
        passes.decompose_with_registry = _WhereNeeded(traced_again)


class _WhereNeeded:
    """The second trace, of the programs that need it."""

    def __init__(self, traced_again: Callable[[ExportedProgram, Any], ExportedProgram]) -> None:
        self.traced_again = traced_again

    def __call__(self, program: ExportedProgram, registry: Any) -> ExportedProgram:
        module = program.graph_module
        known = {found[0].fx_target for found in registry.functions.values()}
        if any(True for _ in module.named_children()) or not all(_plain(node, known) for node in module.graph.nodes):
            return self.traced_again(program, registry)
        with module._set_replace_hook(program.graph_signature.get_replace_hook()):
            for node in list(module.graph.nodes):
                if (replace := REPLACED.get(node.target)) is not None:
                    replace(node)
        module.graph.eliminate_dead_code()
        module.recompile()
        return program


def _plain(node: fx.Node, known: set[Any]) -> bool:
    """True for no operator of torch, for one that is replaced, and for one that ONNX has and that changes no input."""
    operator = node.target
    if not isinstance(operator, torch._ops.OpOverload):
        return True
    if operator is ATEN.broadcast_tensors.default:  # one of them must have the shape of all
        return any(each.meta["val"].shape == node.meta["val"][0].shape for each in _tensors(node))
    if operator is ATEN.rsub.Scalar:
        return len(node.args) == 2  # without a factor
    return operator in REPLACED or (operator in known and (operator in VIEWS or not _taken_apart(operator)))


def _taken_apart(operator: torch._ops.OpOverload) -> bool:
    """True for an operator that the second trace takes apart although ONNX has one: it changes an input, or is a view
    made of other views."""
    schema = operator._schema
    views = any(each.alias_info is not None for each in (*schema.arguments, *schema.returns))
    return schema.is_mutable or (views and operator._can_decompose())


def _erase(node: fx.Node) -> None:
    node.graph.erase_node(node)


def _drop(node: fx.Node) -> None:
    same = node.all_input_nodes[0]
    node.replace_all_uses_with(same)
    _erase(node)


def _cast(node: fx.Node) -> None:
    x, dtype = node.all_input_nodes[0], node.args[1]
    if x.meta["val"].dtype == dtype:
        _drop(node)
    else:
        node.target, node.args, node.kwargs = ATEN._to_copy.default, (x,), {"dtype": dtype}


def _flatten(node: fx.Node) -> None:
    """Reshape where at most one length isn't known: ONNX's Flatten can do less."""
    (x,), shape = node.all_input_nodes, node.meta["val"].shape
    if x.meta["val"].ndim == len(shape):
        _drop(node)
        return
    lengths = [each if isinstance(each, int) else -1 for each in shape]
    if lengths.count(-1) <= 1:
        node.target, node.args = ATEN.reshape.default, (x, lengths)


def _square(node: fx.Node) -> None:
    node.target, node.args = ATEN.pow.Tensor_Scalar, (*node.args, 2)


def _turn(node: fx.Node) -> None:
    """Transpose: torch's exporter writes an einsum, which OpenCV reads wrongly."""
    node.target, node.args = ATEN.transpose.int, (*node.args, -2, -1)


def _take_from(node: fx.Node) -> None:
    node.target, node.args = ATEN.sub.Tensor, (node.args[1], node.args[0])


def _tensors(node: fx.Node) -> list[fx.Node]:
    """The tensors of a list, the first argument; one may stand in it twice."""
    given: Any = node.args[0]
    return list(given)


def _broadcast(node: fx.Node) -> None:
    """Each of the tensors as it is, or as large as another."""
    tensors, shape = _tensors(node), node.meta["val"][0].shape
    whole = next(each for each in tensors if each.meta["val"].shape == shape)
    for user in list(node.users):
        at: Any = user.args[1]
        one = tensors[at]
        if one.meta["val"].shape == shape:
            user.replace_all_uses_with(one)
            _erase(user)
        else:
            user.target, user.args = ATEN.expand_as.default, (one, whole)
    _erase(node)


def _transposed(node: fx.Node) -> None:
    rank = node.meta["val"].ndim - 2
    given: tuple[Any, ...] = (*node.args, *(None, 1, 0, 0, 1, 1)[len(node.args) - 2 :])
    x, weight, bias, stride, padding, output_padding, groups, dilation = given
    axes = [[each] * rank if isinstance(each, int) else each for each in (stride, padding, dilation, output_padding)]
    node.target = ATEN.convolution.default
    node.args = (x, weight, bias, *axes[:3], True, axes[3], groups)


def _becomes(operator: Any) -> Callable[[fx.Node], None]:
    def replace(node: fx.Node) -> None:
        node.target = operator

    return replace


VIEWS = {ATEN.reshape.default, ATEN.expand_as.default, ATEN.unflatten.int, ATEN.chunk.default, ATEN.contiguous.default}
"""Views with a translation that is as plain as what they are made of."""
REPLACED: dict[Any, Callable[[fx.Node], None]] = {
    ATEN._assert_tensor_metadata.default: _erase,
    ATEN._assert_scalar.default: _erase,
    ATEN.detach_.default: _drop,
    ATEN.to.dtype: _cast,
    ATEN.flatten.using_ints: _flatten,
    ATEN.square.default: _square,
    ATEN.mT.default: _turn,
    ATEN.rsub.Scalar: _take_from,
    ATEN.__and__.Tensor: _becomes(ATEN.bitwise_and.Tensor),
    ATEN.__or__.Tensor: _becomes(ATEN.bitwise_or.Tensor),
    ATEN.broadcast_tensors.default: _broadcast,
    ATEN.conv_transpose1d.default: _transposed,
    ATEN.conv_transpose2d.input: _transposed,
}
"""Operators that ONNX lacks, or that do nothing, and what takes the place of each."""
