"""Pages of reference that are made of the code: the Python API by its docstrings, the settings by their fields."""

import ast
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator

from pydantic_core import PydanticUndefined

from vae_pipeline.system.settings import Settings

MODULES = ("vae_pipeline", "vae_pipeline.runtime")
Documented = ast.ClassDef | ast.FunctionDef


def words_of(docstring: str) -> str:
    """A docstring as Markdown: what it raises and what its parameters are become lists."""
    lines: list[str] = []
    listed = False
    for line in inspect.cleandoc(docstring).splitlines():
        entry = re.fullmatch(r" {4}(\w+): (.*)", line)
        if heading := re.fullmatch(r"(Raises|Parameters|Attributes):", line):
            lines += [f"**{heading[1]}**", ""]
            listed = True
        elif listed and entry:
            lines.append(f"- `{entry[1]}`: {entry[2]}")
        elif listed and line.startswith(" "):
            lines.append(f"  {line.strip()}")
        else:
            lines.append(line)
            listed = False
    return "\n".join(lines).replace(" *", r" \*")


def _signature(node: Documented) -> str:
    """The call as its source has it, a parameter a line where one line is too narrow."""
    call = node if isinstance(node, ast.FunctionDef) else _method(node, "__init__")
    if call is None:
        parts, answer = [ast.unparse(each) for each in node.body if isinstance(each, ast.AnnAssign)], ""
    else:
        arguments = ast.parse("def f(): ...").body[0]
        assert isinstance(arguments, ast.FunctionDef)
        arguments.args = call.args
        arguments.args.args = [each for each in call.args.args if each.arg not in ("self", "cls")]
        parts = _split(ast.unparse(arguments.args))
        answer = f" -> {_type(call.returns)}" if call.returns and call is node else ""
    line = f"{node.name}({', '.join(parts)}){answer}"
    return line if len(line) <= 80 else f"{node.name}(\n    " + ",\n    ".join(parts) + f",\n){answer}"


def _type(annotation: ast.expr) -> str:
    """An annotation; one that stands in quotes, for want of an import, without them."""
    return str(annotation.value) if isinstance(annotation, ast.Constant) else ast.unparse(annotation)


def _split(arguments: str) -> list[str]:
    """Arguments at their outermost commas."""
    parts, depth = [""], 0
    for sign in arguments:
        depth += (sign in "([{") - (sign in ")]}")
        if sign == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += sign
    return [re.sub(r"(: [^=]+)=(?=\S)", r"\1 = ", part.strip()) for part in parts if part.strip()]


def _method(node: ast.ClassDef, name: str) -> ast.FunctionDef | None:
    return next((each for each in node.body if isinstance(each, ast.FunctionDef) and each.name == name), None)


def _makes(node: ast.stmt) -> bool:
    """True for what says how an object is made: `__init__`, or a dataclass's field."""
    return isinstance(node, ast.AnnAssign) or (isinstance(node, ast.FunctionDef) and node.name == "__init__")


def _is_property(node: ast.FunctionDef) -> bool:
    return any("property" in ast.unparse(each) for each in node.decorator_list)


def _entry(level: int, name: str, node: Documented) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef) and _is_property(node):
        code = f"{node.name}: {_type(node.returns)}" if node.returns else node.name
    else:
        code = _signature(node)
    yield f"{'#' * level} {name}\n\n```python\n{code}\n```"
    yield words_of(ast.get_docstring(node) or "")


def attributes(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    """The attributes of a class that have a docstring, and what it says."""
    for field, text in zip(node.body, node.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            yield ast.unparse(field.target), inspect.cleandoc(str(text.value.value))


def sources(value: type) -> Iterator[ast.ClassDef]:
    """A class and those of this package that it inherits from, as their sources have them."""
    for each in value.__mro__:
        if each.__module__.startswith("vae_pipeline"):
            (node,) = ast.parse(textwrap.dedent(inspect.getsource(each))).body
            assert isinstance(node, ast.ClassDef)
            yield node


def _public(name: str, value: object) -> Iterator[str]:
    if not isinstance(value, type):
        (node,) = ast.parse(textwrap.dedent(inspect.getsource(value))).body  # type: ignore[arg-type]
        assert isinstance(node, ast.FunctionDef)
        yield from _entry(3, name, node)
        return
    own, *bases = sources(value)
    made = [each for node in (own, *bases) for each in node.body if _makes(each)]  # by its own way, or an inherited one
    yield from _entry(3, name, ast.ClassDef(name, [], [], [*own.body[:1], *made], []))
    if told := "\n".join(f"- `{each}`: {text}" for each, text in attributes(own)):
        yield told
    seen: set[str] = set()
    for node in (own, *bases):
        for method in node.body:
            if isinstance(method, ast.FunctionDef) and not method.name.startswith("_") and method.name not in seen:
                seen.add(method.name)
                if ast.get_docstring(method):
                    yield from _entry(4, f"{name}.{method.name}", method)


def api_page() -> str:
    """The public names of `MODULES`, as `docs/api.md`."""
    parts = [
        "# Python API\n\nWritten by `make docs` from the docstrings. Import a name from the module whose heading it "
        "stands under; what isn't\nhere may change without notice. Shapes stand in brackets, and information is in "
        "nats an example."
    ]
    told: list[object] = []
    for name in MODULES:
        module = importlib.import_module(name)
        parts += [f"## {name}", words_of(module.__doc__ or "")]
        for public in module.__all__:
            value = getattr(module, public)
            if value not in told and not isinstance(value, str):
                told.append(value)
                parts += _public(public, value)
    return "\n\n".join(part for part in parts if part) + "\n"


def settings_page() -> str:
    """The settings, as `docs/settings.md`."""
    rows = []
    for name, field in Settings.model_fields.items():
        told = "" if field.default in (None, PydanticUndefined) else f"`{field.default}`"
        rows.append(f"| `VAE_{name.upper()}` | {field.description} | {told} |")
    return (
        "# Settings\n\nSettings say where and how fast a stage runs, and never what is learned: that is the recipe's. "
        "They are read from the\nenvironment, or from a file `.env` beside `dvc.yaml`; a misspelt name is an error "
        "that names the nearest one. Written by\n`make docs` from `system.settings`.\n\n"
        "| variable | meaning | default |\n|---|---|---|\n" + "\n".join(rows) + "\n"
    )
