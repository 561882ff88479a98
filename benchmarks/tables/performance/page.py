"""The page of the table: ratios beside their targets, then each section's medians."""

import statistics

from benchmarks.environments import PEERS
from benchmarks.store import Kept
from benchmarks.tables.performance.sections import SECTIONS

TARGETS = (
    ("seed's network, an epoch ÷ DataLoader script", "epochs", "vae-pipeline", "DataLoader script", "cpu", 0.55, 0.42),
    ("seed's network, an epoch ÷ Keras", "epochs", "vae-pipeline", "Keras", "cpu", 0.65, 0.50),
    ("seed's network, an epoch ÷ JAX scan", "epochs", "vae-pipeline", "JAX, an epoch a scan", "cpu", 1.25, 1.0),
    ("whole process, one epoch ÷ Keras script", "process", "vae-pipeline train", "Keras script", "cpu", 0.45, 0.35),
    (
        "peak memory of that process ÷ Keras script",
        "process",
        "vae-pipeline train",
        "Keras script",
        "peak_mib",
        0.35,
        0.30,
    ),
    (
        "convolutional VAE, an epoch ÷ DataLoader script",
        "convolution",
        "vae-pipeline",
        "DataLoader script",
        "cpu",
        0.85,
        0.65,
    ),
    ("importance bound, K = 5000 ÷ loop over K", "bound", "vae-pipeline", "loop over K", "cpu", 1 / 35, 1 / 60),
    ("decoding one example, onnxruntime ÷ torch", "decoding", "onnxruntime, one", "torch, one", "cpu", 1 / 3, None),
    (
        "recurrent VAE, a token ÷ LSTM-VAE script",
        "text",
        "vae-pipeline",
        "LSTM-VAE script, one layer to all words",
        "cpu",
        1.0,
        None,
    ),
    ("tracking on ÷ off, time of the loop", "tracking", "on", "off", "loop", 1.03, 1.01),
)


def page(kept: Kept) -> str:
    lines = [
        "# Performance",
        "",
        "Written by `make bench TABLE=performance`; [benchmarks/](../benchmarks/README.md) says what each row runs.",
        "One thread each, on",
        "one core, runs alternating inside one session; ratios are of medians of CPU time (of memory, of the loop's",
        "wall time where the row says so), and in brackets stand the lowest and the highest of one round.",
        "",
        "| | measured | target | stretch |",
        "|---|---:|---:|---:|",
    ]
    for about, section, mine, peer, key, target, stretch in TARGETS:
        measured = ratio(kept, section, mine, peer, key)
        lines.append(f"| {about} | {measured} | {target:.3g} | {'' if stretch is None else f'{stretch:.3g}'} |")
    lines += ["", "On a GPU: not measured. `make bench TABLE=gpu` does it, in one call of some eight minutes.", ""]
    for section in SECTIONS:
        if section.__name__ not in kept:
            continue
        found = kept[section.__name__]
        keys = list(next(iter(found["rows"].values())))
        lines += [f"## {section.__doc__}", "", f"{found['date']}; {found['machine']}.", ""]
        lines += ["| | " + " | ".join(NAMES[key] for key in keys) + " |", "|---|" + "---:|" * len(keys)]
        for name, row in found["rows"].items():
            lines.append(f"| {name} | " + " | ".join(spread(row[key]) for key in keys) + " |")
        lines.append("")
    lines += ["Peers: " + "; ".join(f"{name}: {', '.join(wanted)}" for name, wanted in PEERS.items()) + ".", ""]
    return "\n".join(lines)


NAMES = {"cpu": "CPU", "wall": "wall", "peak_mib": "peak MiB", "loop": "loop", "command": "whole command"}


def ratio(kept: Kept, section: str, mine: str, peer: str, key: str) -> str:
    if section not in kept:
        return "not measured"
    a, b = (kept[section]["rows"][name][key] for name in (mine, peer))
    each = [x / y for x, y in zip(a, b, strict=True)]
    return f"{statistics.median(a) / statistics.median(b):.3g} [{min(each):.3g}, {max(each):.3g}]"


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.4g} [{min(values):.4g}, {max(values):.4g}]"
