"""The rule by which rows are divided into parts, where `valid` or `test` is a fraction."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Tag, model_validator

from vae_pipeline.recipe.section import Count, Pattern, Place, Section


class Groups(Section):
    """The thing that rows of one group have in common, so that no two parts share a group; one of these is given."""

    column: Place | None = None
    """A column of a table, which the model doesn't see."""
    folder: Count | None = None
    """For pictures and recordings: the level of a folder below the one that all lie in, 1 for the topmost."""
    pattern: Pattern | None = None
    """A regular expression for a file's path or a line: its first group, or all that it matches, is the name."""
    file: Place | None = None
    """For pictures: a list of a picture's name and its group a line, such as CelebA's identity_CelebA.txt."""

    @model_validator(mode="after")
    def _one(self) -> "Groups":
        if len(self.model_dump(exclude_none=True)) != 1:
            raise ValueError("give one of column, folder, pattern and file")
        return self


class SplitRule(Section):
    """The rule by which rows are divided where `valid` or `test` is a fraction."""

    size: Literal["hash", "exact"] = "hash"
    """`hash`: a row's part depends on it alone, so that rows added later move no other, and sizes come near the
    fractions by chance; `exact`: sizes are those of the fractions."""
    duplicates: Literal["keep", "drop", "together"] = "keep"
    """For equal rows: `drop` keeps one, `together` keeps all in one part."""
    groups: Groups | None = None
    """Rows of one group are of one part."""


class ListedSplit(Section):
    """The rule by which pictures are divided where a file lists the part of each: `valid` and `test` are left out."""

    kind: Literal["listed"]
    file: Place
    """A list of a picture's name and its part a line: 0 or train, 1 or valid, 2 or test. CelebA's
    list_eval_partition.txt, or a CSV whose first row names the columns."""


HASHED = SplitRule()


def _grouped_by(*fields: str) -> AfterValidator:
    def check(rule: SplitRule) -> SplitRule:
        given = {} if rule.groups is None else rule.groups.model_dump(exclude_none=True)
        for field in given:
            if field not in fields:
                known = f"take {' or '.join(fields)}" if fields else "leave split.groups out"
                raise ValueError(f"groups.{field} means nothing to this kind of data: {known}")
        return rule

    return AfterValidator(check)


def require_fractions(rule: SplitRule, *parts: object) -> None:
    """Refuse a rule that would move rows of a part with a file of its own.

    Raises:
        ValueError: it would.
    """
    if rule.duplicates == "together" and not all(isinstance(part, float) for part in parts):
        raise ValueError("duplicates: together can't move rows of a file of its own to another part: take drop")


Ungrouped = Annotated[SplitRule, _grouped_by()]
GroupedByPath = Annotated[SplitRule, _grouped_by("folder", "pattern", "file")]


def _split_meant(value: Any) -> str:
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return "SplitRule" if kind is None else "listed"


SplitOfPictures = Annotated[
    Annotated[GroupedByPath, Tag("SplitRule")] | Annotated[ListedSplit, Tag("listed")], Discriminator(_split_meant)
]
GroupedByName = Annotated[SplitRule, _grouped_by("folder", "pattern")]
GroupedByColumn = Annotated[SplitRule, _grouped_by("column")]
GroupedByLine = Annotated[SplitRule, _grouped_by("column", "pattern")]
