"""The commands that find anomalies by an exported bundle: onnxruntime, and no torch."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vae_pipeline.cli.json_output import print_answer
from vae_pipeline.cli.options import (
    TASKS,
    TIMEOUT_S,
    BundleFolder,
    Column,
    Fit,
    Inputs,
    Json,
    Keep,
    Key,
    LabelFile,
    Timeout,
    read_labels,
    refuse_options,
    require_options,
)
from vae_pipeline.cli.output import (
    console,
    image_spec,
    looking,
    open_bundle,
    progress,
    require_suffix,
    say,
    write_arrays,
    write_table,
)
from vae_pipeline.system.errors import DataError, VaeError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from vae_pipeline.cli.shifting import Shifted
    from vae_pipeline.kinds.observations import Examples, Observed
    from vae_pipeline.runtime.bundle import Bundle
    from vae_pipeline.runtime.detection import Detection

SHOWN = 5  # of the examples that are left out
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
    shift_from: Annotated[
        Path | None,
        typer.Option(
            help="Where normal examples are mixed otherwise than they were: normal ones of before, not trained on. "
            "P-values are among them, weighed until they resemble those of --shift-to.",
            metavar="FILE",
        ),
    ] = None,
    shift_to: Annotated[
        Path | None, typer.Option(help="Examples of now, all or nearly all of them normal.", metavar="FILE")
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
    on_error: Annotated[
        Literal["refuse", "skip", "mark"],
        typer.Option(help="Where one example can't be used: stop; leave it out; or say why in a column `error`."),
    ] = "refuse",
    keep: Keep = None,
    timeout: Timeout = TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Tell how anomalous each example is, in nats, and its p-value; the perplexity of a line of text. Deterministic."""
    import numpy as np
    import pandas as pd
    from scipy.stats import false_discovery_control

    from vae_pipeline.kinds.observations import Examples
    from vae_pipeline.kinds.spec import TextSpec

    if false_discovery is not None and not 0 < false_discovery < 1:
        raise DataError(f"--false-discovery {false_discovery:g} was given; a share between 0 and 1 is wanted")
    if out is not None:
        require_suffix(out, ".csv", ".parquet", ".npz", as_json=as_json)
    if heat_maps is not None:
        require_suffix(heat_maps, ".png")
    model = open_bundle(bundle, timeout)
    kind = model.spec.kind
    require_options(model, key, resize, labels, column)
    refuse_options(model, keep=bool(keep) and not model.spec.names)
    if isinstance(model.spec, TextSpec):
        given = {"alpha": alpha, "false_discovery": false_discovery, "heat_maps": heat_maps, "shift_from": shift_from}
        refuse_options(model, on_error=on_error != "refuse")
        refuse_options(model, **{name: value is not None for name, value in given.items()}, contributions=contributions)
        write_table(_of_sentences(model, inputs, column), out, "scores", as_json)
        return
    if (contributions and kind != "table") or (heat_maps is not None and kind != "image"):
        raise DataError(
            "--contributions adds a column for each of a table, --heat-maps draws pictures of images; this model is of "
            f"a kind {kind}: take the other, or -o found.npz"
        )
    arrays = out is not None and out.suffix.lower() == ".npz"
    if arrays and (keep or on_error == "mark"):
        raise DataError(
            f"{out} holds arrays, in which --keep and --on-error mark have no place: write .csv or .parquet"
        )
    asked = (alpha, false_discovery, heat_maps, shift_from)
    calibrated = model.detects or contributions or arrays or any(each is not None for each in asked)
    shifted = _shifted(model, shift_from, shift_to, key, resize)
    if alpha is not None:
        (shifted or model.detector).require(alpha)
    whole: list[tuple[Any, Detection]] = []

    def judge(x: Any, classes: Any) -> "pd.DataFrame":
        if not calibrated:
            return pd.DataFrame(vars(model.score(x, classes, DRAWS)))
        found = model.detect(x, classes) if shifted is None else shifted.judged(x, model.detect(x))
        if arrays or heat_maps is not None:
            whole.append((x, found))
        return _frame(model, found, alpha, contributions)

    with looking():
        examples = Examples(inputs, model.spec, key, resize, on_error, keep or ())
    with progress(model, examples.count * (1 if calibrated else DRAWS)):
        seen, scores = _judged(examples, read_labels(labels), judge)
    if on_error == "skip":
        _say_skipped(seen)
    if heat_maps is not None:
        from vae_pipeline.kinds.image.sheets import save_heat_maps

        x, maps = np.concatenate([x for x, _ in whole]), np.concatenate([found.contributions for _, found in whole])
        save_heat_maps(heat_maps, x, maps, image_spec(model))
        if not as_json:  # which tells of the scores
            say(heat_maps, len(x), "heat maps", as_json)
    if arrays:
        assert out is not None
        write_arrays(
            out, {name: np.concatenate([vars(found)[name] for _, found in whole]) for name in vars(whole[0][1])}
        )
        say(out, len(scores), "scores", as_json)
        return
    if false_discovery is not None:
        discovered = false_discovery_control(scores["p_value"].astype(np.float64)) <= false_discovery
        scores.insert(scores.columns.get_loc("p_value") + 1 + (alpha is not None), "discovery", discovered)
    write_table(_beside(seen, scores, on_error), out, "scores", as_json)


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
    """Tell if new examples are still what the bundle was calibrated on: compare their scores with the calibration's."""
    import json

    from vae_pipeline.kinds.observations import read_observations
    from vae_pipeline.runtime.drift import drift as run
    from vae_pipeline.runtime.drift import require_stable, said

    model = open_bundle(bundle, timeout)
    _ = model.detector  # where there is none, as in every model of sentences, no input is read
    x = read_observations(inputs, model.spec, key, resize)
    with progress(model, len(x)):
        result = run(model, model.detect(x, read_labels(labels)))
    if not as_json:
        console().print(said(result))
    try:
        require_stable(result, fail_on)
    except VaeError as error:
        error.found = [result.to_dict()]
        raise
    if as_json:
        print_answer(1, found=[json.dumps(result.to_dict())])


def _shifted(model: "Bundle", before: Path | None, now: Path | None, key: str | None, resize: Any) -> "Shifted | None":
    if before is None and now is None:
        return None
    if before is None or now is None:
        raise DataError("--shift-from and --shift-to go together: give both, or neither")
    from vae_pipeline.cli.shifting import Shifted

    return Shifted(model, before, now, key, resize)


def _frame(model: "Bundle", found: "Detection", alpha: float | None, contributions: bool) -> "pd.DataFrame":
    import pandas as pd

    from vae_pipeline.runtime.detection import alarms

    kind = model.detector.score
    columns: dict[str, Any] = {
        "negative_elbo": found.distortion + found.rate,
        "distortion": found.distortion,
        "rate": found.rate,
    }
    columns |= {kind: found.score, "p_value": found.p_value}
    if alpha is not None:
        columns["alarm"] = alarms(found.p_value, alpha)
    if contributions and model.spec.names:
        parts = zip(model.spec.names, found.contributions.T, strict=True)
        columns |= {f"contribution.{name}": values for name, values in parts}
    return pd.DataFrame(columns)


def _judged(
    examples: "Examples", classes: Any, judge: "Callable[[Any, Any], pd.DataFrame]"
) -> tuple["Observed", "pd.DataFrame"]:
    """Judge the usable examples, some at a time: the origins of all, without their values, and the judgements."""
    import pandas as pd

    from vae_pipeline.kinds.observations import joined

    if classes is not None and len(classes) != examples.count:
        raise DataError(f"{len(classes)} labels were given for {examples.count} examples: one each is wanted")
    seen, found = [], []
    for some in examples.some():
        if len(some.x):
            found.append(judge(some.x, None if classes is None else classes[some.usable]))
        seen.append(replace(some, x=some.x[:0]))
    return joined(seen), pd.concat(found, ignore_index=True)


def _beside(seen: "Observed", found: "pd.DataFrame", on_error: str) -> "pd.DataFrame":
    """The findings of the rows that can be used, beside where each comes from; with `mark`, the others and why."""
    import pandas as pd

    table = pd.DataFrame(seen.origins())
    same = [name for name in table.columns if name in found.columns]
    if same:
        raise DataError(f"--keep {same[0]} was given, and the scores have a column of that name: rename yours")
    found = found.set_axis(seen.usable)
    if on_error == "mark":
        return table.join(
            found.astype({name: "boolean" for name in found.columns if found[name].dtype == bool})
        ).assign(error=[seen.faults.get(place) for place in range(len(table))])
    return table.iloc[seen.usable].join(found)


def _say_skipped(seen: "Observed") -> None:
    for count, (_, reason) in enumerate(seen.faults.items()):
        if count == SHOWN:
            typer.echo(f"... and {len(seen.faults) - SHOWN} more", err=True)
            return
        typer.echo(f"left out: {reason}", err=True)


def _of_sentences(model: "Bundle", inputs: list[Path], column: str | None) -> "pd.DataFrame":
    import pandas as pd

    from vae_pipeline.kinds.text.inputs import read_sentences

    read = read_sentences(inputs, model.sentences.tokens, column)
    with progress(model, len(read.x) * DRAWS):
        return pd.DataFrame({"line": read.numbers, **vars(model.sentences.score(read.x, DRAWS))})
