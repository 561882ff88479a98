"""Python's search for garbage, which large imports make long."""

import gc

OBJECTS = 400_000
"""New objects after which Python searches. The imports of torch and ours make some 330,000, which stay; at 700, the
number that Python has, they would be searched hundreds of times."""


def search_seldom() -> None:
    """Let this process search for garbage after 400,000 new objects."""
    gc.set_threshold(OBJECTS)
