"""A model that runs in a child process, in an environment made of what it was saved with.

Data go through pipes as JSON and raw buffers; nothing is pickled. The child ends with this
process or with :meth:`IsolatedModel.close`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyfunc.code.calling import told
from pyfunc.directory.opened import ModelFiles
from pyfunc.env.creating.environments import Environment, prepare_environment
from pyfunc.env.creating.installers import EnvManager
from pyfunc.errors import InvalidArgumentError, PyfuncError
from pyfunc.loading.registry import WORKER_SCRIPT
from pyfunc.model.description import Model
from pyfunc.model.loaded import PyFuncModel
from pyfunc.processes.message_pipe import MessagePipe
from pyfunc.processes.wire_errors import read_error
from pyfunc.processes.wire_values import ValueReader, ValueWriter

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["IsolatedModel", "load_isolated"]

_CHILDREN_INHERIT = os.name == "posix"
_PATIENCE = 5.0
_GRACE = 0.5


def load_isolated(
    directory: Path,
    meta: Model,
    *,
    env_manager: EnvManager | None = None,
    install_mlflow: bool | None = None,
    pip_requirements_override: Sequence[str] | None = None,
    options: Mapping[str, Any],
    model_config: dict[str, object] | None = None,
    read_example: Callable[[], Any] | None = None,
    environment: Environment | None = None,
    dies_with_parent: bool = False,
    files: ModelFiles | None = None,
) -> IsolatedModel:
    """Return the model in ``directory``, loaded by a child process in its own environment.

    Args:
        directory: the model, local.
        meta: its MLmodel file.
        env_manager: how the environment is made; by default uv if installed, else virtualenv.
        install_mlflow: whether MLflow is in it, as in :func:`prepare_environment`.
        pip_requirements_override: requirements that go before those of the model.
        options: more arguments for ``load_model`` in the child, of plain types.
        model_config: the configuration after overrides, to be shown.
        read_example: reads the input example.
        environment: one that is ready, instead of one made for the model.
        dies_with_parent: the child is killed with the thread that calls this, even if it hangs in
            code that lets nothing else run. Where threads come and go that is too soon; the
            closed pipe ends the child in any case.
        files: reads the files of the model for its environment, and checks what it reads.

    Raises:
        EnvironmentCreationError: the environment cannot be made.
        InvalidArgumentError: this is Windows, where a child inherits no pipes.
        PyfuncError: the child process ended before the model was loaded.
        Exception: what loading raises in the child.
    """
    if not _CHILDREN_INHERIT:
        raise InvalidArgumentError(
            "env='isolated': Windows gives no pipes to a child process, so models cannot be "
            "isolated there\n"
            "hint: run 'pyfunc env create' and load the model with the Python that it prints"
        )
    environment = environment or prepare_environment(
        directory,
        env_manager=env_manager,
        install_mlflow=install_mlflow,
        pip_requirements_override=pip_requirements_override or (),
        files=files,
    )
    child = _Child(environment, dies_with_parent=dies_with_parent)
    try:
        child.request({"do": "load", "path": str(directory.absolute())}, options=dict(options))
        return IsolatedModel(meta, child, model_config=model_config, read_example=read_example)
    except BaseException:
        child.close()
        raise


class _Child:
    """A worker process and the pipes to it. One request is under way at a time."""

    def __init__(self, environment: Environment, *, dies_with_parent: bool) -> None:
        self.environment = environment
        child_in, our_out = os.pipe()
        our_in, child_out = os.pipe()
        lifeline, our_end = os.pipe()
        theirs = (child_in, child_out, lifeline)
        # Isolated mode: nothing comes from the folder that this process happens to run in,
        # from PYTHONPATH or from the user's own packages.
        mode = [] if environment.manager == "local" else ["-I"]
        command = [str(environment.python), *mode, "-c", WORKER_SCRIPT]
        command += map(str, (*theirs, os.getpid(), int(dies_with_parent)))
        try:
            # A session of its own: Ctrl-C is for the parent, which closes the pipes.
            self.process = subprocess.Popen(
                command,
                pass_fds=theirs,
                stdin=subprocess.DEVNULL,
                env=_child_environment(environment),
                start_new_session=True,
            )
        except BaseException:
            for descriptor in (our_in, our_out, our_end):
                os.close(descriptor)
            raise
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        self._pipe = MessagePipe(our_in, our_out)
        self._lock = threading.Lock()
        self.close = weakref.finalize(self, _end, self.process, self._pipe, our_end)

    def request(self, header: dict[str, Any], **values: Any) -> Any:
        """Return the value that the child answers with.

        Raises:
            PyfuncError: the child is gone.
            Exception: what the child answers with instead of a value.
        """
        writer = ValueWriter()
        message = {**header, **{name: writer.write(value) for name, value in values.items()}}
        with self._lock:
            if not self.close.alive:
                raise PyfuncError("the isolated model has been closed")
            try:
                self._pipe.send(message, writer.buffers)
                answer, buffers = self._pipe.receive()
            except (OSError, EOFError) as error:
                raise self._gone() from error
            except ValueError as error:
                raise self.malformed(error) from error
            except BaseException:
                # A half-read answer, after Ctrl-C for example: the child cannot be asked again.
                self.close()
                raise
        reader = ValueReader(buffers)
        try:
            if "error" not in answer:
                return reader.read(answer["value"])
            failure = read_error(reader, answer["error"])
        except Exception as error:  # a tree that no writer wrote can fail anywhere
            raise self.malformed(error) from error
        raise failure

    def malformed(self, error: Exception) -> PyfuncError:
        """Return the one error for whatever is no answer; the child is not asked again."""
        self.close()
        return PyfuncError(
            f"the process of the isolated model gave no answer that can be read: {told(error)}\n"
            "hint: code of the model wrote into the pipes of its process, or its environment has "
            "another release of this library"
        )

    def _gone(self) -> PyfuncError:
        try:
            status = self.process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            status = None
        self.close()
        if status is not None and status < 0:
            how = f"was ended by {_name_of_signal(-status)}"
        else:
            how = "has closed its pipe" if status is None else f"ended with status {status}"
        return PyfuncError(
            f"the process of the isolated model {how}\nhint: its last output is on standard error"
        )


def _name_of_signal(number: int) -> str:
    try:
        return f"signal {signal.Signals(number).name}"
    except ValueError:  # those for real time have no names
        return f"signal {number}"


def _child_environment(environment: Environment) -> dict[str, str]:
    if environment.manager == "local":
        return {**os.environ, "PYTHONPATH": os.pathsep.join(entry or "." for entry in sys.path)}
    left_out = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    search = f"{environment.python.parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
    return {**kept, "PATH": search}


def _end(process: subprocess.Popen[bytes], pipe: MessagePipe, our_end: int) -> None:
    pipe.close()
    # An idle child ends by itself; one that is still predicting is ended by the lifeline.
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)
    with contextlib.suppress(OSError):
        os.close(our_end)
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class IsolatedModel(PyFuncModel):
    """A model that predicts in a child process; used like any other.

    The signature is enforced in the child, by the libraries that the model was saved with.
    """

    def __init__(
        self,
        meta: Model,
        child: _Child,
        *,
        model_config: dict[str, object] | None = None,
        read_example: Callable[[], Any] | None = None,
    ) -> None:
        super().__init__(
            meta, child, "request", model_config=model_config, read_example=read_example
        )
        self._child = child

    @property
    def environment(self) -> Environment:
        """The environment that the model runs in."""
        return self._child.environment

    def predict(self, data: object, params: Mapping[str, object] | None = None) -> Any:
        """Return the predictions for ``data``, as :meth:`PyFuncModel.predict` does."""
        return self._child.request({"do": "predict"}, data=data, params=params)

    def score(
        self,
        table: pa.Table,
        result: pa.Table,
        *,
        params: Mapping[str, object] | None = None,
        zone: str = "UTC",
    ) -> pa.Table:
        """Return the predictions for a table of Arrow as a table like the empty ``result``."""
        request = {"table": table, "result": result, "params": params, "zone": zone}
        return self._child.request({"do": "score"}, **request)

    def predict_sample(self, sample: object, debug: bool = False) -> Any:
        """Return what :meth:`PyFuncModel.predict_sample` returns in the child process."""
        return self._child.request({"do": "predict_sample"}, sample=sample, debug=debug)

    def predict_stream(
        self, data: object, params: Mapping[str, object] | None = None
    ) -> Iterator[Any]:
        """Return an iterator over the parts, as :meth:`PyFuncModel.predict_stream` does."""
        stream = self._child.request({"do": "open_stream"}, data=data, params=params)
        try:
            while part := self._child.request({"do": "next_part", "stream": stream}):
                if not isinstance(part, list) or len(part) != 1:
                    raise self._child.malformed(ValueError("a part of a stream is no list of one"))
                yield part[0]
        finally:
            with contextlib.suppress(PyfuncError):
                self._child.request({"do": "close_stream", "stream": stream})

    def unwrap_python_model(self) -> Any:
        """Raise: the object lives in another process."""
        raise PyfuncError("the Python object of an isolated model is in another process")

    def get_raw_model(self) -> Any:
        """Raise: the object lives in another process."""
        raise PyfuncError("the raw model of an isolated model is in another process")

    def parts(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Raise: nothing of the model can be copied or pickled."""
        raise PyfuncError(
            "an isolated model is a process of its own, and can be neither copied nor pickled\n"
            "hint: load its directory where it is needed"
        )

    def close(self) -> None:
        """End the child process; it must not be called afterwards."""
        self._child.close()
