"""The nets of an encoder and of a decoder."""

from typing import Annotated, Literal

from pydantic import Field

from vae_pipeline.recipe.section import Activation, Count, Layers, Section, later

Share = Annotated[float, Field(ge=0, lt=1)]


class DenseNet(Section):
    """Fully connected layers, in the order in which they are passed."""

    kind: Literal["dense"]
    layers: Layers
    """Widths of the layers."""
    activation: Activation
    """The non-linearity; `gelu` is its tanh form, and `gated` one half of a layer's outputs times the sigmoid of the
    other, which takes twice the weights."""
    shortcut: bool = later(False)
    """A linear way past the layers, in encoder and decoder alike. Where posterior and likelihood are Gaussian,
    discretised or not, with a linear mean, the model starts as the probabilistic principal components of the training
    part, and the layers learn what these lack: for few examples of many values."""


class ConvolutionNet(Section):
    """Convolutions of stride 2, in the order in which they are passed (a decoder's: transposed)."""

    kind: Literal["convolution"]
    channels: Layers
    """Channels after each convolution."""
    activation: Activation
    """The non-linearity, as of a dense net."""
    smallest: Count | None = None
    """Layers at the small end that would bring a side of the map under this are left out, so that one recipe serves
    images of any size; if None, all are passed."""
    shortcut: bool = False
    """A linear way past the convolutions, whose normalisation hides how bright an image is and how strong its
    contrasts: an encoder's features include averages of the image, 8x8 at most, and a decoder adds a linear function of
    z to the image."""


class ResidualNet(Section):
    """Residual blocks at some levels, for images of any height, width and channels; each level but the last one of an
    encoder halves the sides, and each but the last one of a decoder doubles them."""

    kind: Literal["residual"]
    channels: Layers
    """Channels of each level, in the order in which they are passed: an encoder's from the image on, a decoder's from
    the latents on. The factor f, by which the map of the lowest level is smaller than the image, is
    2^(levels - 1)."""
    blocks: Count
    """Residual blocks of each level; a decoder has one more."""
    activation: Literal["relu", "tanh", "silu", "gelu"]
    """The non-linearity, as of a dense net."""
    normalisation: Literal["group", "local"]
    """`group`: over the whole image, in 32 groups of channels, or as many as divide the channels of every level.
    `local`: over the channels of each place, so that a place sees a part of the image alone, and an image in tiles is
    what it is as a whole."""
    attention: bool = False
    """True for attention among the places of the lowest level."""
    checkpointing: bool = False
    """True to compute blocks again for their gradients, which takes less memory and a third more time."""
    shortcut: bool = later(False)
    """A linear way past the blocks, for latents that are a map: an encoder's features include the pixels of each place,
    and a decoder adds a linear function of the latents of a place to its pixels."""


Cell = Literal["lstm", "gru"]


class RecurrentEncoder(Section):
    """One layer of recurrent cells over the tokens of a sentence; features are its last state."""

    kind: Literal["recurrent"]
    cell: Cell
    """The kind of cell."""
    embedding: Count
    """Numbers that a token is embedded in."""
    width: Count
    """Units of the layer."""
    bidirectional: bool
    """True if a second layer goes from the end to the start."""


class RecurrentDecoder(Section):
    """One layer of recurrent cells, given the token before; z is in its first state and in every input."""

    kind: Literal["recurrent"]
    cell: Cell
    """The kind of cell."""
    embedding: Count
    """Numbers that a token is embedded in."""
    width: Count
    """Units of the layer."""
    dropout: Share
    """Share of the numbers of embeddings and states that are left out in training, the same ones at each token."""
    word_dropout: Share
    """Share of the given tokens that are made unknown in training, so that z has to tell them."""
    latents: Literal["used", "cut"]
    """`cut`: neither z nor x reaches it; what is left is a language model, to compare with."""


class WaveformNet(Section):
    """Residual blocks of one-dimensional convolutions at some levels, for sound in the view `waveform`; each level but
    the last one of an encoder makes it shorter by the stride, and each but the last one of a decoder longer."""

    kind: Literal["residual_1d"]
    channels: Layers
    """Channels of each level, in the order in which they are passed."""
    stride: Annotated[Count, Field(ge=2)]
    """The factor between the lengths of two levels."""
    blocks: Count
    """Residual blocks of each level; the samples that one of them joins lie 1, 3, 9, ... apart."""
    activation: Literal["relu", "tanh", "silu", "gelu"]
    """The non-linearity, as of a dense net."""


class FrameNet(Section):
    """One layer of recurrent cells over the frames of sound in the view `spectrogram`: an encoder's goes either way,
    and features are its last states; in a decoder z is in the first state and in every input."""

    kind: Literal["recurrent_frames"]
    cell: Cell
    """The kind of cell."""
    width: Count
    """Units of the layer."""


class ResidualFrames(Section):
    """Residual blocks of one-dimensional convolutions over the frames of sound in the view `spectrogram`, whose bands
    are channels: a frame sees the 2^blocks frames before and after it, and no others. They need a posterior of kind
    spatial_gaussian, whose map has a place for each frame."""

    kind: Literal["residual_frames"]
    width: Count
    """Channels."""
    blocks: Annotated[Count, Field(le=10)]
    """Residual blocks; the three frames that one of them joins lie 1, 2, 4, ... apart."""
    activation: Literal["relu", "tanh", "silu", "gelu"]
    """The non-linearity, as of a dense net."""
    causal: bool = False
    """True if a frame sees twice as many frames before it, and none after: for a stream without more delay than a
    frame."""


EncoderNet = Annotated[
    DenseNet | ConvolutionNet | ResidualNet | WaveformNet | FrameNet | ResidualFrames | RecurrentEncoder,
    Field(discriminator="kind"),
]
DecoderNet = Annotated[
    DenseNet | ConvolutionNet | ResidualNet | WaveformNet | FrameNet | ResidualFrames | RecurrentDecoder,
    Field(discriminator="kind"),
]
