"""A device that isn't there: its tensors are computed by the CPU, but don't mix with the CPU's.

`python -m tests.pretended LANE FOLDER` takes a lane of tests through the stages on it. torch lets a Python program be
a device of the kind PrivateUse1; it stays one until the process ends. A tensor has its storage as a name, under which
the values are kept; a tensor of other strides is told to be whole, so that what is written through a view of a view
may be lost.
"""

import contextlib
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch._C import _acc
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._pytree import tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

_setup_privateuseone_for_python_backend("card")
DEVICE = torch.device("card:0")
VALUES: dict[int, tuple[StorageWeakRef, Tensor]] = {}
"""The values of each storage."""
OWN = {"detach", "alias", "copy_", "set_", "resize_", "data"}
"""Operators that are left to torch: they change what a tensor is, not what it holds."""
BOTH = ("aten::_copy_from", "aten::copy_", "aten::index", "aten::_index_put", "aten::_unsafe_index")
"""Operators that take tensors of the CPU too, on a GPU as well."""


def pretended(x: object) -> bool:
    return isinstance(x, Tensor) and x.device.type == "card"


def keep(made: Tensor, values: Tensor) -> Tensor:
    storage = made.untyped_storage()
    if len(VALUES) % 2000 == 1999:
        for name in [name for name, (storage_of, _) in VALUES.items() if storage_of.expired()]:
            del VALUES[name]
    VALUES[storage._cdata] = (StorageWeakRef(storage), values)
    return made


def values_of(x: Tensor, written: bool) -> Tensor:
    storage_of, values = VALUES.get(x.untyped_storage()._cdata, (None, x))
    if storage_of is None or storage_of.expired():
        assert written, "a tensor without values"
        values = torch.empty_strided(x.shape, x.stride(), dtype=x.dtype)
        keep(x, values)
    return values if values.shape == x.shape else values.reshape(x.shape)


def compute(op: Any, *args: Any, **named: Any) -> Any:
    """Compute an operator on the values, and give what it makes to the device."""
    name = op.name()
    tensors: list[Tensor] = []
    tree_map(lambda x: tensors.append(x) if isinstance(x, Tensor) else None, (args, named))
    if any(map(pretended, tensors)) and not name.startswith(BOTH):
        others = [x for x in tensors if not pretended(x) and x.ndim]
        if others:
            raise RuntimeError(f"{name}: tensors of {DEVICE} and of the CPU")
    arguments = op._schema.arguments
    given = [*zip(arguments, args, strict=False), *((each, named.get(each.name)) for each in arguments)]
    written = {id(x) for each, x in given if each.alias_info is not None and each.alias_info.is_write}
    mine: dict[int, Tensor] = {}

    def down(x: Any) -> Any:
        if pretended(x):
            found = values_of(x, id(x) in written)
            if id(x) not in written and not op.is_view:
                found = found.contiguous()  # fused kernels read memory as the device has told it
            mine[id(found)] = x
            return found
        return torch.device("cpu") if isinstance(x, torch.device) and x.type == "card" else x

    def up(x: Any) -> Any:
        if not isinstance(x, Tensor):
            return x
        return mine[id(x)] if id(x) in mine else keep(_acc.create_empty_tensor(x.shape, x.dtype), x)

    first, *more = args, named
    args, named = tree_map(down, (args, named))
    if name.startswith("aten::_copy_from"):
        args[1].copy_(args[0])
        return first[1]
    if name in ("aten::view", "aten::_unsafe_view", "aten::_reshape_alias"):
        return up(args[0].reshape(args[1]))
    if name.partition(".")[0] in ("aten::squeeze_", "aten::unsqueeze_"):
        op(other := args[0].detach(), *args[1:])
        first[0].data = up(other)
        return first[0]
    if name == "aten::as_strided":
        return up(args[0].contiguous().as_strided(*args[1:], **named))
    made = op(*args, **named)
    asked = more[0].get("device")
    to_cpu = name == "aten::_to_copy" and asked is not None and torch.device(asked).type == "cpu"
    return made if to_cpu else tree_map(up, made)


def register() -> list[torch.library.Library]:
    """Compute by `compute` what torch would else put together from parts that know nothing of the values."""
    every, aten = torch.library.Library("_", "IMPL"), torch.library.Library("aten", "IMPL")
    every.fallback(compute, "PrivateUse1")
    known = {*torch._C._dispatch_get_all_op_names()}
    explicit = ("CompositeExplicitAutograd", "CompositeExplicitAutogradNonFunctional")
    for word in {*dir(torch.ops.aten)} - OWN:
        packet = getattr(torch.ops.aten, word)
        for overload in packet.overloads() if hasattr(packet, "overloads") else ():
            op = getattr(packet, overload)
            if op.name() in known and (
                word in ("isfinite", "isinf")
                or any(torch._C._dispatch_has_kernel_for_dispatch_key(op.name(), key) for key in explicit)
            ):
                aten.impl(op, partial(compute, op), "PrivateUse1")
    return [every, aten]


def on_cpu(kernel: Any) -> Any:
    """A recurrent kernel of the CPU, between copies that gradients go through."""

    def run(given: Tensor, state: Any, weights: list[Tensor], *more: Any) -> Any:
        if not pretended(given):
            return kernel(given, state, weights, *more)
        state = tuple(each.cpu() for each in state) if isinstance(state, tuple) else state.cpu()
        return tuple(x.to(DEVICE) for x in kernel(given.cpu(), state, [each.cpu() for each in weights], *more))

    return run


def deepcopy(original: Any) -> Any:
    def copied(self: Tensor, memo: dict[int, Any]) -> Tensor:
        if not pretended(self):
            return original(self, memo)
        memo[id(self)] = made = self.detach().clone().requires_grad_(self.requires_grad)
        return made

    return copied


def main(name: str, folder: Path) -> None:
    registered = register()
    torch._VF.lstm, torch._VF.gru = on_cpu(torch._VF.lstm), on_cpu(torch._VF.gru)
    Tensor.__deepcopy__ = deepcopy(Tensor.__deepcopy__)  # type: ignore[method-assign]
    # a view can't be made of what was made outside such a block
    torch.inference_mode = lambda mode=True: torch.no_grad() if mode is True else contextlib.nullcontext()  # type: ignore

    from tests.lanes import make_lane

    for stage in ("train", "evaluate", "export"):
        sys.modules[f"vae_pipeline.stages.{stage}"].prepare_device = lambda _: DEVICE
    make_lane(name, folder)
    del registered


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
