"""When Python looks for cyclic garbage: not while a server starts, and never at what stays.

Importing libraries and loading what is served make millions of objects and no garbage, and each
look goes through all of them: a sixth of the time until a server answers that needs scikit-learn.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["collection_paused", "keep_what_is_loaded"]


@contextmanager
def collection_paused() -> Iterator[None]:
    """Do not look for cyclic garbage meanwhile."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def keep_what_is_loaded() -> None:
    """Leave what there is now out of all later looks, so that none holds up a request."""
    gc.freeze()
