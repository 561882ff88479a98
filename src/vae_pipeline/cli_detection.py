"""The commands that find anomalies by an exported bundle: onnxruntime, and no torch."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vae_pipeline.cli_options import (
    TASKS,
    TIMEOUT_S,
    BundleFolder,
    Column,
    Fit,
    Inputs,
    Json,
    Key,
    LabelFile,
    Timeout,
    read_labels,
    refuse_options,
    require_options,
)
from vae_pipeline.cli_output import (
    PIPE,
    console,
    open_bundle,
    progress,
    require_suffix,
    say,
    write_arrays,
    write_heat_maps,
)

if TYPE_CHECKING:
    import pandas as pd

    from vae_pipeline.runtime import Bundle, Detection

DRAWS = 16  # of z, where there is no detector that has its own

detection = typer.Typer()

Alpha = Annotated[float | None, typer.Option(help="Add a column `alarm`, false at this rate among normal examples.")]


@detection.command(rich_help_panel=TASKS)
def score(
    bundle: BundleFolder,
    inputs: Inputs,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help=".csv, .parquet, or .npz (contributions too); printed if not given."),
    ] = None,
    alpha: Alpha = None,
    false_discovery: Annotated[
        float | None,
        typer.Option(help="Add a column `discovery`, of which this share is false (Benjamini and Hochberg)."),
    ] = None,
    contributions: Annotated[
        bool, typer.Option("--contributions", help="Of a table: add what each column adds over what is usual.")
    ] = False,
    heat_maps: Annotated[
        Path | None, typer.Option(help="Of images: a .png, each above where it is unusual.", metavar="FILE")
    ] = None,
    key: Key = None,
    resize: Fit = "none",
    labels: LabelFile = None,
    column: Column = None,
    timeout: Timeout = TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """How anomalous each example is, in nats, and its p-value; of text, the perplexity of each line; deterministic."""
    from vae_pipeline.errors import DataError
    from vae_pipeline.observations import read_observations

    if out is not None:
        require_suffix(out, ".csv", ".parquet", ".npz")
    if heat_maps is not None:
        require_suffix(heat_maps, ".png")
    model = open_bundle(bundle, timeout)
    kind = model.spec.kind
    require_options(model, key, resize, labels, column)
    if kind == "text":
        given = {"alpha": alpha, "false_discovery": false_discovery, "heat_maps": heat_maps}
        refuse_options(model, **{name: value is not None for name, value in given.items()}, contributions=contributions)
        _hand_over(_of_sentences(model, inputs, column), out, as_json)
        return
    if (contributions and kind != "table") or (heat_maps is not None and kind != "image"):
        raise DataError(
            "--contributions adds a column for each of a table, --heat-maps draws pictures of images; this model is of "
            f"a kind {kind}: take the other, or -o found.npz"
        )
    x = read_observations(inputs, model.spec, key, resize)
    classes = read_labels(labels)
    if not model.detects and alpha is None and false_discovery is None and not contributions and heat_maps is None:
        _hand_over(_uncalibrated(model, x, classes), out, as_json)
        return
    with progress(model, len(x)):
        found = model.detect(x, classes)
    if heat_maps is not None:
        write_heat_maps(heat_maps, x, found.contributions, model)
    if out is not None and out.suffix.lower() == ".npz":
        write_arrays(out, vars(found))
        say(out, len(x), "scores", as_json)
    else:
        _hand_over(_frame(model, found, alpha, false_discovery, contributions), out, as_json)


@detection.command(rich_help_panel=TASKS)
def drift(
    bundle: BundleFolder,
    inputs: Inputs,
    key: Key = None,
    resize: Fit = "none",
    labels: LabelFile = None,
    fail_on: Annotated[
        Literal["some", "much"] | None, typer.Option(help="End with exit code 1 where the drift is at least this.")
    ] = None,
    timeout: Timeout = TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Whether new examples are still what the bundle was calibrated on: their scores beside the calibration's."""
    import json

    from vae_pipeline.drift import drift as run
    from vae_pipeline.drift import require_stable, said
    from vae_pipeline.observations import read_observations

    model = open_bundle(bundle, timeout)
    x = read_observations(inputs, model.spec, key, resize)
    with progress(model, len(x)):
        result = run(model, model.detect(x, read_labels(labels)))
    console().print(json.dumps(result.to_dict()) if as_json else said(result))
    if fail_on is not None:
        require_stable(result, fail_on)


def _frame(
    model: "Bundle", found: "Detection", alpha: float | None, false_discovery: float | None, contributions: bool
) -> "pd.DataFrame":
    import numpy as np
    import pandas as pd
    from scipy.stats import false_discovery_control

    from vae_pipeline.errors import DataError
    from vae_pipeline.spec import TableSpec

    kind = model.detector.score
    columns: dict[str, Any] = {"example": np.arange(len(found.score))}
    columns |= {"negative_elbo": found.distortion + found.rate, "distortion": found.distortion, "rate": found.rate}
    columns |= {kind: found.score, "p_value": found.p_value}
    if alpha is not None:
        columns["alarm"] = model.alarms(found, alpha)
    if false_discovery is not None:
        if not 0 < false_discovery < 1:
            raise DataError(f"--false-discovery {false_discovery:g} was given; a share between 0 and 1 is wanted")
        columns["discovery"] = false_discovery_control(found.p_value.astype(np.float64)) <= false_discovery
    if contributions and isinstance(model.spec, TableSpec):
        parts = zip(model.spec.columns, found.contributions.T, strict=True)
        columns |= {f"contribution.{column.name}": values for column, values in parts}
    return pd.DataFrame(columns)


def _uncalibrated(model: "Bundle", x: Any, classes: Any) -> "pd.DataFrame":
    """Of a bundle without a detector."""
    import numpy as np
    import pandas as pd

    with progress(model, len(x) * DRAWS):
        return pd.DataFrame({"example": np.arange(len(x)), **vars(model.score(x, classes, DRAWS))})


def _of_sentences(model: "Bundle", inputs: list[Path], column: str | None) -> "pd.DataFrame":
    import pandas as pd

    from vae_pipeline.observations import read_sentences

    lines, numbers = read_sentences(inputs, model.sentences.spec, column)
    with progress(model, len(lines) * DRAWS):
        return pd.DataFrame({"line": numbers, **vars(model.sentences.score(lines, DRAWS))})


def _hand_over(frame: "pd.DataFrame", out: Path | None, as_json: bool) -> None:
    """Write a table, or print it."""
    import io

    from vae_pipeline.files import replace_file

    if out is not None and out.suffix.lower() == ".parquet":
        buffer = io.BytesIO()
        frame.to_parquet(buffer, index=False)
        replace_file(out, buffer.getvalue())
    elif out is not None and str(out) != PIPE:
        replace_file(out, frame.to_csv(index=False, float_format="%.6f").encode())
    else:
        lines = frame.to_json(orient="records", lines=True, double_precision=6).rstrip("\n")
        sys.stdout.write(f"{lines}\n" if as_json else frame.to_csv(index=False, float_format="%.6f"))
        return
    say(out, len(frame), "scores", as_json)
