"""Counting what a request handler answers, as its tracker says."""

from __future__ import annotations

import logging
import math

from pyfunc.errors import PyfuncError
from pyfunc.handlers.tracker import Tracker
from pyfunc.serving.http.metrics import Meter

__all__ = ["AnswerCounter"]

_MOST_BITS = 256
_logger = logging.getLogger("pyfunc.handlers")


class AnswerCounter:
    """Gives what is tracked of each answer to a meter; safe to share by threads.

    Args:
        tracker: what to look at; None to look at nothing.
        meter: counts it.
    """

    def __init__(self, tracker: Tracker | None, meter: Meter) -> None:
        self._tracker = tracker
        self._meter = meter
        self._logged: set[str] = set()

    def note(self, answer: object) -> None:
        """Count one answer; one without what is tracked is logged, once for each reason."""
        tracker = self._tracker
        if tracker is None:
            return
        try:
            value = tracker.find(answer)
        except PyfuncError as error:
            self._log(str(error))
        except Exception as error:  # the answer is an object of the user's
            self._log(f"the answer cannot be looked into: {type(error).__name__}")
        else:
            self._count(value, tracker)

    def _count(self, value: str | float, tracker: Tracker) -> None:
        if tracker.model_type == "regression":
            number = _finite(value)
            if number is None:
                self._log("the value must be a finite number for regression")
            else:
                self._meter.add_value(number)
        elif isinstance(value, int) and value.bit_length() > _MOST_BITS:
            self._log("the value has too many digits for a class")
        else:
            self._meter.count_class(str(value))

    def _log(self, reason: str) -> None:
        if reason not in self._logged:
            self._logged.add(reason)
            _logger.warning("tracker: %s; further answers like it are not logged", reason)


def _finite(value: str | float) -> float | None:
    """Return a number as a float; None if the sum of all would no longer be a number with it."""
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
