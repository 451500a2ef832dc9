"""The functions of a loaded handler module: found, checked and called."""

from __future__ import annotations

import inspect
import logging
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pyfunc.errors import HandlerError
from pyfunc.handlers.contract import HOOKS, INIT, find_problem_of_function

__all__ = ["Hook", "Hooks", "Stage", "call_init"]

Stage = Literal["load", "init", "pre_inference", "post_inference"]
Hook = Callable[[Any, Any, Any], Any]

_logger = logging.getLogger("pyfunc.handlers")


@dataclass(frozen=True, slots=True)
class Hooks:
    """The functions that a handler has; each may be None.

    Attributes:
        path: the handler's file as the model names it, for messages.
        pre_inference: turns a sample into inputs of the model.
        post_inference: turns a prediction into the answer.
    """

    path: str
    pre_inference: Hook | None
    post_inference: Hook | None

    @classmethod
    def of_module(cls, module: types.ModuleType, path: str) -> Hooks:
        """Return the functions of ``module``, after checking their arguments.

        Raises:
            HandlerError: a function takes other arguments than it should, or is none.
        """
        found: dict[str, Any] = {name: getattr(module, name, None) for name in (INIT, *HOOKS)}
        problems = [
            problem
            for name, value in found.items()
            if value is not None and (problem := find_problem_of_function(name, value)) is not None
        ]
        if problems:
            text = problems[0] if len(problems) == 1 else "\n  - ".join(["", *problems])
            raise HandlerError(f"request_handler {path}: {text}", stage="load")
        for name in HOOKS:
            if found[name] is None:
                _logger.info("%s request handler not found", name)
            else:
                _logger.info("using %s request handler provided in %s", name, path)
        return cls(path, found["pre_inference"], found["post_inference"])

    def run_pre(self, sample: Any, signature: Any, metadata: Any) -> Any:
        """Return what ``pre_inference`` makes of ``sample``; without one, the sample.

        Raises:
            HandlerError: it failed.
        """
        return self._run("pre_inference", self.pre_inference, sample, signature, metadata)

    def run_post(self, prediction: Any, signature: Any, metadata: Any) -> Any:
        """Return what ``post_inference`` makes of ``prediction``; without one, the prediction.

        Raises:
            HandlerError: it failed.
        """
        return self._run("post_inference", self.post_inference, prediction, signature, metadata)

    def _run(self, stage: Stage, hook: Hook | None, *arguments: Any) -> Any:
        if hook is None:
            return arguments[0]
        try:
            return hook(*arguments)
        except Exception as error:
            raise HandlerError(
                f"{self.path}: {stage} request handler: {error}: runtime exception", stage=stage
            ) from error


def call_init(module: types.ModuleType, path: str, values: Mapping[str, Any]) -> None:
    """Call ``init`` of a handler, if it has one, with those of ``values`` that it names.

    Raises:
        HandlerError: it failed.
    """
    init = getattr(module, INIT, None)
    if init is None:
        return
    named = {name: values[name] for name in inspect.signature(init).parameters}
    try:
        init(**named)
    except Exception as error:
        raise HandlerError(f"{path}: init: {error}: runtime exception", stage="init") from error
