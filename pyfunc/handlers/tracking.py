"""Counting what a request handler answers, as its tracker says."""

from __future__ import annotations

import logging
from typing import Any

from pyfunc.errors import PyfuncError
from pyfunc.handler_tracker import Tracker
from pyfunc.serving.metrics import Meter

__all__ = ["AnswerCounter"]

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

    def note(self, answer: Any) -> None:
        """Count one answer; one without what is tracked is logged, once for each reason."""
        tracker = self._tracker
        if tracker is None:
            return
        try:
            value = tracker.find(answer)
        except PyfuncError as error:
            self._log(str(error))
            return
        if tracker.model_type == "classification":
            self._meter.count_class(str(value))
        else:
            self._meter.add_value(float(value))

    def _log(self, reason: str) -> None:
        if reason not in self._logged:
            self._logged.add(reason)
            _logger.warning("tracker: %s; further answers like it are not logged", reason)
