"""``predict``: from a dataset of Ray and a model to the dataset of its predictions."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from pyfunc.distributed.ray.actors import BatchPredictor
from pyfunc.distributed.ray.pool import Need, Node, Size, check_count, check_pool, choose_pool
from pyfunc.distributed.ray.shipping import ship
from pyfunc.env.creating.installers import EnvManager
from pyfunc.errors import InvalidArgumentError, MissingDependencyError
from pyfunc.loading.opening import Opening, check_choice, open_place
from pyfunc.schema.enforce.params import enforce_params

if TYPE_CHECKING:
    from ray.data import ActorPoolStrategy, Dataset

__all__ = ["predict"]

_RETRIES = 5  # of a batch whose actor died; one that always kills it would go on without end


def predict(
    dataset: Dataset,
    model_uri: str | os.PathLike[str],
    *,
    params: Mapping[str, object] | None = None,
    keep: Sequence[str] = (),
    env_manager: EnvManager | None = None,
    model_config: Mapping[str, object] | str | Path | None = None,
    batch_size: int | None = 4096,
    concurrency: Size | None = None,
    num_cpus: float | None = None,
    num_gpus: float = 0,
) -> Dataset:
    """Return the dataset of the model's predictions for ``dataset``; it is computed when used.

    The model is taken as it is now: what becomes of its directory later does not matter. Each
    actor loads it once; one that dies is replaced, and its batch predicted again.

    Args:
        dataset: columns with the names of the signature; a column of tensors is an array.
        model_uri: a path, a ``file:`` URI, or a URL that fsspec reads.
        params: parameters for every batch.
        keep: columns of ``dataset`` to have beside the predictions. Ray keeps no order of rows
            unless its ``DataContext`` says so.
        env_manager: ``local``, the default, predicts in Ray's own Python. ``virtualenv``, ``uv``
            and ``conda`` make the environment that the model was saved with, once per machine;
            each actor has a process in it.
        model_config: values, or a YAML file of values, that replace those saved with the model.
        batch_size: the most rows predicted at once; None for a whole block.
        concurrency: how many actors, or the least and the most; by default as many as leave a
            CPU to read the data with.
        num_cpus: of one actor; by default 1, or 0 in a cluster that has a single CPU.
        num_gpus: of one actor.

    Raises:
        InvalidArgumentError: an argument cannot work, or Ray would wait without end for so
            large a pool.
        MissingDependencyError: Ray or pyarrow is not installed.
        ModelNotFoundError: there is no model at the place.
        ModelIntegrityError: files are not those that were saved.
        SchemaError: parameters do not fit the signature.
    """
    _check_installed()
    if env_manager is not None:
        check_choice("env_manager", env_manager, get_args(EnvManager))
    if isinstance(keep, str) or not all(isinstance(name, str) for name in keep):
        raise InvalidArgumentError(f"keep: expected names of columns in a list, got {keep!r}")
    if batch_size is not None:
        check_count("batch_size", batch_size)
    pool, need = _find_pool(concurrency, num_cpus, num_gpus)
    with open_place(model_uri, model_config=model_config) as opening:
        signature = opening.meta.signature
        given = {
            "params": enforce_params(params, None if signature is None else signature.params),
            "keep": tuple(keep),
            "env_manager": env_manager,
            "model_config": None if model_config is None else opening.model_config,
        }
        shipped = ship(_verified(opening).files)
    return dataset.map_batches(
        BatchPredictor,
        batch_format="pyarrow",
        batch_size=batch_size,
        compute=pool,
        num_cpus=need.cpus,
        num_gpus=need.gpus,
        max_task_retries=_RETRIES,
        fn_constructor_args=(shipped,),
        fn_constructor_kwargs=given,
    )


def _check_installed() -> None:
    try:
        import pyarrow  # noqa: F401
        import ray.data  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            "predicting on Ray", "pip install 'pyfunc-format[ray]'"
        ) from error


def _verified(opening: Opening) -> Opening:
    """Return ``opening``, of which each file is what was saved and nothing was replaced."""
    opening.files.verify_all()
    if opening.place is not None:
        opening.place.check()
    return opening


def _find_pool(
    concurrency: Size | None, num_cpus: float | None, num_gpus: float
) -> tuple[ActorPoolStrategy, Need]:
    """Return a pool of actors that fits into the cluster, and what one of them takes.

    Raises:
        InvalidArgumentError: no actor fits, or not so many.
    """
    from ray.data import ActorPoolStrategy

    nodes = _nodes()
    if num_cpus is None:
        num_cpus = 1 if sum(node.cpus for node in nodes) > 1 else 0
    _check_amounts(num_cpus=num_cpus, num_gpus=num_gpus)
    need = Need(num_cpus, num_gpus)
    size = choose_pool(nodes, need) if concurrency is None else concurrency
    checked = check_pool(size, nodes, need)
    if isinstance(checked, tuple):
        return ActorPoolStrategy(min_size=checked[0], max_size=checked[1]), need
    return ActorPoolStrategy(size=checked), need


def _check_amounts(**amounts: object) -> None:
    for name, amount in amounts.items():
        is_number = isinstance(amount, (int, float)) and not isinstance(amount, bool)
        if not is_number or not 0 <= float(str(amount)) < float("inf"):
            raise InvalidArgumentError(f"{name}: expected a number of at least 0, got {amount!r}")


def _nodes() -> list[Node]:
    """Return the machines of the cluster, which is started here unless there is one."""
    import ray

    if not ray.is_initialized():
        ray.init()
    found = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [Node(each.get("CPU", 0), each.get("GPU", 0)) for each in found]
