"""Settings that serve best on what was held back."""

import numpy as np


def tuned(settings, reached):
    """Settings from the first value of each: one after the other takes the value that reaches most, twice round.

    `reached` is a function of settings; a ValueError says that some don't go together.
    """

    def tried(told):
        try:
            return reached(told)
        except ValueError:
            return -np.inf

    best = {name: values[0] for name, values in settings.items()}
    most = tried(best) if any(len(values) > 1 for values in settings.values()) else None
    for _ in range(2):
        before = best
        for name, values in settings.items():
            for value in values:
                if value != best[name] and (now := tried(best | {name: value})) > most:
                    most, best = now, best | {name: value}
        if best == before:
            break
    return best
