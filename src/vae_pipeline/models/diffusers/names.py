"""Names of weights: ours, and those of diffusers' AutoencoderKL."""

import re

RULES = (
    (r"posterior\.mixed\.(\w+)", r"quant_conv.\1"),
    (r"decoder\.mixed\.(\w+)", r"post_quant_conv.\1"),
    (r"posterior\.moments\.(\w+)", r"encoder.conv_out.\1"),
    (r"(\w+)\.input\.(\w+)", r"\1.conv_in.\2"),
    (r"(\w+)\.output\.0\.(\w+)", r"\1.conv_norm_out.\2"),
    (r"decoder\.output\.2\.(\w+)", r"decoder.conv_out.\1"),
    (r"(\w+)\.middle\.0\.(layers|shortcut)\b", r"\1.mid_block.resnets.0.\2"),
    (r"(\w+)\.middle\.[12]\.(layers|shortcut)\b", r"\1.mid_block.resnets.1.\2"),
    (r"(\w+)\.middle\.1\.norm\b", r"\1.mid_block.attentions.0.group_norm"),
    (r"(\w+)\.middle\.1\.(query|key|value)\b", lambda m: f"{m[1]}.mid_block.attentions.0.to_{m[2][0]}"),
    (r"(\w+)\.middle\.1\.output\b", r"\1.mid_block.attentions.0.to_out.0"),
    (r"encoder\.levels\.(\d+)\.(\d+)\.(layers|shortcut)\b", r"encoder.down_blocks.\1.resnets.\2.\3"),
    (r"decoder\.levels\.(\d+)\.(\d+)\.(layers|shortcut)\b", r"decoder.up_blocks.\1.resnets.\2.\3"),
    (r"encoder\.levels\.(\d+)\.\d+\.(\w+)", r"encoder.down_blocks.\1.downsamplers.0.conv.\2"),
    (r"decoder\.levels\.(\d+)\.\d+\.(\w+)", r"decoder.up_blocks.\1.upsamplers.0.conv.\2"),
)
"""The first that matches a name from its beginning gives the other one."""
LAYERS = {
    "layers.0": "norm1",
    "layers.2": "conv1",
    "layers.3": "norm2",
    "layers.5": "conv2",
    "shortcut": "conv_shortcut",
}
"""The layers of a residual block."""
OLD = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""Names of attention's layers in files that diffusers wrote before 0.18, and reads still."""


def theirs(name: str) -> str | None:
    """The name by which diffusers has one of our weights; None of one that it has none of, such as a scale."""
    for pattern, replacement in RULES:
        if re.match(pattern, name):
            found = re.sub(f"^{pattern}", replacement, name)
            return re.sub(r"\b(layers\.\d|shortcut)\b", lambda match: LAYERS[match[0]], found)
    return None


def renewed(name: str) -> str:
    """A name as diffusers writes it today."""
    return re.sub(r"(?<=\.attentions\.0\.)(query|key|value|proj_attn)(?=\.)", lambda match: OLD[match[0]], name)
