"""config.json of diffusers' AutoencoderKL: its structure, in diffusers' words and in a recipe's.

A key that a file lacks has diffusers' default.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.models.nets.residual_blocks import groups_of
from vae_pipeline.recipe import model as recipe
from vae_pipeline.system.errors import ExportError, WeightsError
from vae_pipeline.system.typed_json import read_json, typed

FILE = "config.json"
CLASS = "AutoencoderKL"
VERSION = "0.42.1"
"""The version of diffusers that the exchange is measured with."""
DOWN, UP = "DownEncoderBlock2D", "UpDecoderBlock2D"


@dataclass(frozen=True)
class Config:
    """The keys that decide on the structure."""

    in_channels: int = 3
    out_channels: int = 3
    down_block_types: tuple[str, ...] = (DOWN,)
    up_block_types: tuple[str, ...] = (UP,)
    block_out_channels: tuple[int, ...] = (64,)
    layers_per_block: int = 1
    act_fn: str = "silu"
    latent_channels: int = 4
    norm_num_groups: int = 32
    use_quant_conv: bool = True
    use_post_quant_conv: bool = True
    mid_block_add_attention: bool = True

    @classmethod
    def load(cls, folder: Path) -> "Config":
        """Read a folder's.

        Raises:
            WeightsError: there is none, it is another class's, or its structure is none that a recipe can say.
        """
        path = folder / FILE
        if not path.is_file():
            inner = folder / "vae" / FILE
            wanted = f"name {inner.parent}" if inner.is_file() else f"name a folder that {CLASS}.save_pretrained wrote"
            raise WeightsError(f"{path} isn't there: {wanted}")
        try:
            values = read_json(path)
            kind = values.get("_class_name") if isinstance(values, dict) else None
            if kind != CLASS:
                raise ValueError(f"its _class_name is {kind!r}, and {CLASS} is wanted")
            config = typed(cls, values)
            config._require_known()
        except (OSError, ValueError) as error:
            raise WeightsError(f"{path} can't be used: {error}") from error
        return config

    def _require_known(self) -> None:
        levels = len(self.block_out_channels)
        for name, wanted in (("down_block_types", [DOWN] * levels), ("up_block_types", [UP] * levels)):
            if list(getattr(self, name)) != wanted:
                raise ValueError(f"{name} is {list(getattr(self, name))}; residual nets have {wanted}")
        if self.act_fn not in ("silu", "swish"):
            raise ValueError(f"act_fn is {self.act_fn!r}; diffusers ends its nets with silu, so that silu alone is one")
        if self.in_channels != self.out_channels:
            raise ValueError(f"in_channels is {self.in_channels} and out_channels {self.out_channels}; they must agree")
        groups = groups_of(self.block_out_channels)
        if self.norm_num_groups != groups:
            raise ValueError(
                f"norm_num_groups is {self.norm_num_groups}; a recipe's normalisation group has 32, or as many as "
                f"divide the channels of every level: {groups}"
            )

    @property
    def pointwise(self) -> bool:
        """True if a 1x1 convolution stands on either side of the latents."""
        return self.use_quant_conv or self.use_post_quant_conv

    def sections(self) -> dict[str, dict[str, Any]]:
        """The sections of a recipe's model that have this structure."""
        channels = list(self.block_out_channels)
        shared = {
            "blocks": self.layers_per_block,
            "activation": "silu",
            "normalisation": "group",
            "attention": self.mid_block_add_attention,
        }
        return {
            "encoder": {"kind": "residual", "channels": channels, **shared},
            "posterior": {
                "kind": "spatial_gaussian",
                "channels": self.latent_channels,
                **({"pointwise": True} if self.pointwise else {}),
            },
            "decoder": {"kind": "residual", "channels": channels[::-1], **shared},
        }

    @classmethod
    def of(cls, model: recipe.AnyModel, spec: ImageSpec) -> "Config":
        """The structure of a recipe's model; its 1x1 convolutions are always there.

        Raises:
            ExportError: diffusers has no such model; names what it lacks.
        """
        for lacking in _lacking(model, spec):
            raise ExportError(f"{CLASS} of diffusers has {lacking}")
        assert isinstance(model, recipe.Model) and isinstance(model.encoder, recipe.ResidualNet)
        assert isinstance(model.posterior, recipe.SpatialGaussianPosterior)
        net, levels = model.encoder, len(model.encoder.channels)
        return cls(
            in_channels=spec.event_shape[0],
            out_channels=spec.event_shape[0],
            down_block_types=(DOWN,) * levels,
            up_block_types=(UP,) * levels,
            block_out_channels=net.channels,
            layers_per_block=net.blocks,
            latent_channels=model.posterior.channels,
            norm_num_groups=groups_of(net.channels),
            mid_block_add_attention=net.attention,
        )

    def to_json(self, sample_size: int, scaling_factor: float) -> dict[str, Any]:
        """The content of config.json; keys that older versions of diffusers don't know are left at their defaults."""
        values = asdict(self)
        for name in ("use_quant_conv", "use_post_quant_conv", "mid_block_add_attention"):
            if values[name]:
                del values[name]
        head = {"_class_name": CLASS, "_diffusers_version": VERSION}
        return head | dict(sorted((values | {"sample_size": sample_size, "scaling_factor": scaling_factor}).items()))


def _lacking(model: recipe.AnyModel, spec: ImageSpec) -> Iterator[str]:
    """Name all that diffusers has none of, as the ends of sentences."""
    if not isinstance(model, recipe.Model):
        yield f"no model of kind {model.kind}: its latents are one map"
        return
    encoder, decoder, posterior = model.encoder, model.decoder, model.posterior
    if not isinstance(posterior, recipe.SpatialGaussianPosterior):
        yield f"a Gaussian map of latents alone, and model.posterior.kind is {posterior.kind}: take spatial_gaussian"
        return
    assert isinstance(encoder, recipe.ResidualNet) and isinstance(decoder, recipe.ResidualNet)
    for name, net in (("encoder", encoder), ("decoder", decoder)):
        if net.normalisation != "group":
            yield f"group normalisation alone, and model.{name}.normalisation is {net.normalisation}: take group"
        if net.shortcut:
            yield f"no way past the blocks, and model.{name}.shortcut is true: train without it"
        if net.activation != "silu":
            yield f"silu before each net's last layer, and model.{name}.activation is {net.activation}: take silu"
    if decoder.channels != encoder.channels[::-1]:
        yield (
            f"one list of channels for both nets, and model.decoder.channels {list(decoder.channels)} isn't "
            f"model.encoder.channels {list(encoder.channels)} backwards"
        )
    for name in ("blocks", "attention"):
        ours, theirs = getattr(decoder, name), getattr(encoder, name)
        if ours != theirs:
            yield f"one setting of {name} for both nets, and the encoder's is {theirs}, the decoder's {ours}"
    if model.conditional:
        yield "no labels, and model.conditional is true: train with model.conditional: false"
    mean = getattr(model.likelihood, "mean", None)
    if not isinstance(model.likelihood, recipe.ContinuousLikelihood) or mean != "linear":
        said = model.likelihood.kind + (f" with mean {mean}" if mean else "")
        yield (
            f"a linear last layer whose output is the image, and model.likelihood is {said}: take gaussian, laplace or "
            "student_t with mean: linear"
        )
    factor = 2 ** (len(encoder.channels) - 1)
    sides = spec.event_shape[1:]
    if any(side % factor for side in sides):
        yield f"no padding to a whole map, and the factor {factor} doesn't divide images of {sides[0]} x {sides[1]}"
