"""The names of the source by reading it: modules, what each of them defines, and the members of classes."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.lanes import ROOT

SOURCE = ROOT / "src" / "vae_pipeline"


class Names:
    """The names of each module, and the members of each class, inherited ones too."""

    def __init__(self, source: Path) -> None:
        self.modules: dict[str, set[str]] = {}
        self.classes: dict[str, list[ast.ClassDef]] = {}
        self.strings: set[str] = set()
        for path in sorted(source.rglob("*.py")):
            tree = ast.parse(path.read_text())
            way = path.relative_to(source).with_suffix("").parts
            module = ".".join(way[:-1] if way[-1] == "__init__" else way)
            self.modules.setdefault(module, set()).update(defined(tree.body))
            self.modules.setdefault(module.rpartition(".")[0], set()).add(module.rpartition(".")[2])
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef):
                    self.classes.setdefault(node.name, []).append(node)
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    self.strings.add(node.value)

    def has(self, name: str) -> bool:
        """True if a dotted name leads to a module, to what one defines, or to a member of a class."""
        words = name.removeprefix("vae_pipeline.").split(".")
        if words[0] in self.classes:
            return self.is_member(words)
        for end in range(len(words), 0, -1):
            names = self.modules.get(".".join(words[:end]))
            if names is not None:
                rest = words[end:]
                return not rest or (rest[0] in names and (len(rest) == 1 or self.is_member(rest)))
        return False

    def defines(self, name: str) -> bool:
        """True if some module binds that name."""
        return name in self.classes or any(name in names for names in self.modules.values())

    def is_member(self, words: list[str]) -> bool:
        """True if `Class.member` is there; the type of a member isn't looked at."""
        return len(words) == 1 or words[1] in self.members(words[0])

    def members(self, name: str) -> set[str]:
        found: set[str] = set()
        for node in self.classes.get(name, ()):
            found |= set(defined(node.body))
            for part in ast.walk(node):
                of_self = (
                    isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id == "self"
                )
                if of_self and isinstance(part.ctx, ast.Store):
                    found.add(part.attr)
            for base in node.bases:
                found |= self.members(ast.unparse(base).split("[")[0].split(".")[-1])
        return found


def defined(body: list[ast.stmt]) -> Iterator[str]:
    """The names that statements bind."""
    for node in body:
        match node:
            case ast.FunctionDef() | ast.ClassDef():
                yield node.name
            case ast.Import() | ast.ImportFrom():
                yield from (alias.asname or alias.name.split(".")[0] for alias in node.names)
            case ast.If() | ast.Try():
                yield from defined(node.body)
            case ast.Assign() | ast.AnnAssign():
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                yield from (part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name))


@cache
def source() -> Names:
    """The names of vae_pipeline."""
    return Names(SOURCE)
