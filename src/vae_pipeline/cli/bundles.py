"""The commands that show a bundle to others: that it is whole, other runtimes, a browser, a server."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from vae_pipeline.bundles.conformance.runtimes import Runtime
from vae_pipeline.cli.json_output import print_answer
from vae_pipeline.cli.options import TASKS, TIMEOUT_S, BundleFolder, Json, Timeout
from vae_pipeline.cli.output import console, require_suffix

bundles = typer.Typer()


@bundles.command(rich_help_panel=TASKS)
def verify(bundle: BundleFolder, timeout: Timeout = TIMEOUT_S, as_json: Json = False) -> None:
    """Check that a bundle is whole, and that each graph gives its golden answers on this machine."""
    import json
    from dataclasses import asdict

    from vae_pipeline.runtime.verification import verify as verified

    rows = verified(bundle, timeout)
    if as_json:
        print_answer(len(rows), found=(json.dumps(asdict(row)) for row in rows))
        return
    for row in rows:
        console().print(
            f"{row.graph:<{1 + max(len(each.graph) for each in rows)}}{row.sha256[:12]}  within {row.difference:.1e}"
        )
    console().print(f"{bundle}: whole, and its {len(rows)} graphs give their golden answers")


@bundles.command(rich_help_panel=TASKS)
def conform(
    bundle: BundleFolder,
    runtime: Annotated[
        list[Runtime] | None,
        typer.Option(
            help=f"One of {', '.join(Runtime)}; again for more. [default: all that are installed]", metavar="NAME"
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help=".json of the table.")] = None,
    timeout: Timeout = TIMEOUT_S,
) -> None:
    """Run every graph in other runtimes and compare with the golden answers."""
    from vae_pipeline.bundles.conformance.conform import conform as run
    from vae_pipeline.bundles.conformance.conform import require
    from vae_pipeline.bundles.conformance.table import print_table, write_table
    from vae_pipeline.system.settings import Settings

    if out is not None:
        require_suffix(out, ".json")
    asked, terminal = runtime or [], console()
    rows = []
    with terminal.status("") as status:
        for row in run(bundle, asked, Settings.load().home, timeout):
            rows.append(row)
            status.update(f"{row.runtime} {row.graph}: {row.outcome}")
    print_table(terminal, rows)
    if out is not None:
        write_table(out, bundle, rows)
    require(rows, asked)


@bundles.command(rich_help_panel=TASKS)
def explore(
    bundle: BundleFolder,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder to fill; with --single-file, an .html file to write.")
    ],
    single_file: Annotated[
        bool, typer.Option("--single-file", help="One file with everything inside, that needs no server.")
    ] = False,
) -> None:
    """Write a web page that runs the model in its visitor's browser; of a denoiser of sound, one that hears."""
    from vae_pipeline.bundles.explorer.browser_runtime import fetch_runtime
    from vae_pipeline.bundles.explorer.page import PAGE, require_shown, write_file, write_folder
    from vae_pipeline.kinds.download import Finder
    from vae_pipeline.runtime.bundle import Bundle
    from vae_pipeline.stages.download_display import showing_downloads
    from vae_pipeline.system.errors import OutputError
    from vae_pipeline.system.files import require_writable
    from vae_pipeline.system.settings import Settings

    settings = Settings.load()
    if single_file:
        require_suffix(out, ".html")
    elif out.suffix.lower() == ".html":
        raise OutputError(f"{out} is a file's name, and a folder is to be filled: name one, or give --single-file")
    else:
        require_writable(out, bundle)
    model = Bundle.load(bundle)
    require_shown(model)
    with showing_downloads(console()) as report:
        runtime = fetch_runtime(Finder(settings.home / "downloads", settings.mirror, report))
    if single_file:
        write_file(model, runtime, out)
        console().print(f"{model.manifest.recipe}: a page that opens in a browser -> {out}")
    else:
        write_folder(model, runtime, out)
        console().print(
            f"{model.manifest.recipe}: a page -> {out / PAGE}; to see it: python3 -m http.server --directory {out}"
        )


@bundles.command(rich_help_panel=TASKS)
def repository(
    bundle: BundleFolder,
    layout: Annotated[Literal["triton", "mlserver"], typer.Option(help="The inference server that is to read it.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to fill; replaced once all has gone well.")],
) -> None:
    """Write a bundle as the model repository of an inference server."""
    from vae_pipeline.bundles.serving.repository import write_repository
    from vae_pipeline.runtime.bundle import Bundle
    from vae_pipeline.system.files import require_writable

    require_writable(out, bundle)
    names = write_repository(Bundle.load(bundle), layout, out)
    start = "tritonserver --model-repository" if layout == "triton" else "mlserver start"
    console().print(f"{', '.join(names)} -> {out}; to serve them: {start} {out}")


@bundles.command(rich_help_panel=TASKS)
def push(
    bundle: BundleFolder,
    to: Annotated[str, typer.Argument(help="hf://OWNER/NAME, or hf://OWNER/NAME@BRANCH.", metavar="ADDRESS")],
    model: Annotated[
        Path | None, typer.Option(help="Folder that `train` filled: push the weights too, to go on training from.")
    ] = None,
    create: Annotated[bool, typer.Option("--create", help="Make the repository, and the branch, if need be.")] = False,
    private: Annotated[bool, typer.Option("--private", help="Of --create: let nobody else see it.")] = False,
    message: Annotated[str | None, typer.Option(help="Of the commit. [default: the recipe and its weights]")] = None,
    as_json: Json = False,
) -> None:
    """Push a bundle to the Hugging Face Hub, as a model with its card."""
    import json
    from dataclasses import asdict

    from vae_pipeline.bundles.hub import push as run

    pushed = run(bundle, to, model, create, private, message)
    if as_json:
        print_answer(1, found=[json.dumps(asdict(pushed))])
        return
    said = f"{bundle} -> {to}" if pushed.new else f"{to} has all of {bundle} already"
    console().print(f"{said}: commit {pushed.commit}, {pushed.url}")


@bundles.command(rich_help_panel=TASKS)
def shrink(
    bundle: BundleFolder,
    to: Annotated[
        Literal["fp16", "int8"], typer.Option(help="Networks in float16; or their products in 8 bits, calibrated.")
    ],
    data: Annotated[Path, typer.Option(help="Folder that `prepare` filled: train calibrates, test measures the loss.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to fill; replaced once all has gone well.")],
    timeout: Timeout = TIMEOUT_S,
) -> None:
    """Write a smaller variant of a bundle, and measure what it loses."""
    from vae_pipeline.bundles.variants.cost import print_table
    from vae_pipeline.bundles.variants.shrink import shrink as run

    cost = run(bundle, to, data, out, timeout)
    print_table(console(), cost)
    console().print(f"{bundle} as {to} -> {out}")
