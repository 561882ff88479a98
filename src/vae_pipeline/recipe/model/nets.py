"""The nets of an encoder and of a decoder."""

from typing import Annotated, Literal

from pydantic import Field

from vae_pipeline.recipe.section import Activation, Count, Layers, Section

Share = Annotated[float, Field(ge=0, lt=1)]


class DenseNet(Section):
    """Fully connected layers, in the order in which they are passed."""

    kind: Literal["dense"]
    layers: Layers
    """Widths of the layers."""
    activation: Activation
    """The non-linearity; `gelu` is its tanh form, and `gated` one half of a layer's outputs times the sigmoid of the
    other, which takes twice the weights."""


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


EncoderNet = Annotated[DenseNet | ConvolutionNet | RecurrentEncoder, Field(discriminator="kind")]
DecoderNet = Annotated[DenseNet | ConvolutionNet | RecurrentDecoder, Field(discriminator="kind")]
