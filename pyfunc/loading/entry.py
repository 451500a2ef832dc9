"""``load_model``: from a place to a model that predicts (format.md 4)."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pyfunc.directory.opened import HeldPlace, ModelFiles, Verify, open_files
from pyfunc.directory.verification import Progress
from pyfunc.errors import InvalidArgumentError, ModelNotFoundError
from pyfunc.files.locations import resolve_model
from pyfunc.handlers.attached import attach_handler
from pyfunc.loading.loaders import find_loader
from pyfunc.loading.overrides import merge_model_config
from pyfunc.model.description import MLMODEL_FILE, Model
from pyfunc.model.loaded import DescribedOnly, PyFuncModel
from pyfunc.model.opened import OpenedModel, code_scope, open_model, python_function_section
from pyfunc.trust import TrustMode, TrustPolicy, check_code_may_run, trusting

if TYPE_CHECKING:
    from pyfunc.env.checking.report import Report
    from pyfunc.env.creating.installers import EnvManager

__all__ = ["load_model"]

OnMismatch = Literal["ignore", "warn", "raise"]
Coerce = Literal["safe"] | None

_logger = logging.getLogger("pyfunc.loading")


def load_model(
    model_uri: str | os.PathLike[str],
    suppress_warnings: bool = False,
    dst_path: str | None = None,
    model_config: Mapping[str, Any] | str | Path | None = None,
    *,
    verify: Verify = "auto",
    on_mismatch: OnMismatch = "warn",
    coerce: Coerce = None,
    env: Literal["running", "isolated"] = "running",
    env_manager: EnvManager | None = None,
    install_mlflow: bool | None = None,
    pip_requirements_override: Sequence[str] | None = None,
    trust: TrustMode = "full",
    expected_digest: str | None = None,
    public_key: str | os.PathLike[str] | None = None,
    allowed_globals: Iterable[str] = (),
    allow_other_python: bool = False,
    progress: Progress | None = None,
) -> PyFuncModel:
    """Return the model in the directory at ``model_uri``, ready to predict.

    Nothing is written into the directory. The model's own code is imported in a name space of
    its own: ``sys.path`` and ``sys.modules`` are afterwards as they were before.

    Args:
        model_uri: a path, a ``file:`` URI, or a URL that fsspec reads.
        suppress_warnings: do not compare the environment with the one at training.
        dst_path: where a remote model is downloaded to.
        model_config: values, or a YAML file of values, that replace those saved with the model.
        verify: ``"auto"`` holds the files against the manifest if there is one, ``"require"``
            refuses a model without one, ``"skip"`` does not look.
        on_mismatch: what to do when installed packages are not those at training.
        coerce: ``"safe"`` also accepts data that a lossless cast makes fit the signature.
        env: ``"isolated"`` loads the model in a child process, in an environment made from what
            it was saved with; see :class:`pyfunc.isolated.IsolatedModel`.
        env_manager: what makes that environment; by default uv if installed, else virtualenv.
        install_mlflow: whether MLflow is in that environment; by default if the model asks for
            it and its code uses parts of MLflow that this library has no stand-in for.
        pip_requirements_override: requirements that take the place of those of the same names
            in that environment, or come on top of them.
        trust: what of the model may run. ``"full"``: everything; ``"digest"`` and
            ``"signature"``: everything, if the files are those that ``expected_digest`` or
            ``public_key`` stand for; ``"allowlist"``: pickles that import nothing but
            ``allowed_globals``, and no code; ``"none"``: nothing, the result only describes
            the model. The environment variable ``PYFUNC_TRUST`` can lower it.
        expected_digest: SHA-256 of the manifest, as ``inspect`` and ``verify`` give it; held
            against the files in every mode.
        public_key: PEM file of the key that the model must be signed with, in every mode.
        allowed_globals: ``module.name`` of what a pickle may import, beside a base list.
        allow_other_python: load a pickle with code of another Python version, which may crash.
        progress: called with the bytes of the model checked so far and the bytes to check.

    Raises:
        ModelNotFoundError: there is no model at the place.
        ModelFormatError: its MLmodel file is malformed or names files outside the directory.
        ModelIntegrityError: files are not those that were saved.
        ModelIncompleteError: a part of the model is missing or broken.
        FlavorNotFoundError: nothing here loads this kind of model.
        IncompatiblePythonError: the model holds code of another Python version.
        UntrustedModelError: the environment forbids running code of models.
    """
    _check_choices(on_mismatch, env, env_manager, pip_requirements_override)
    policy = TrustPolicy.from_arguments(
        trust,
        expected_digest=expected_digest,
        public_key=public_key,
        allowed_globals=allowed_globals,
        allow_other_python=allow_other_python,
    )
    root = resolve_model(model_uri, dst_path)
    if not (root / MLMODEL_FILE).exists():
        raise ModelNotFoundError(
            f"no {MLMODEL_FILE} file in {root}\nhint: give the directory that save_model wrote"
        )
    with HeldPlace(root) as place:
        files = open_files(root, verify, policy)
        meta = open_model(files)
        section = python_function_section(meta, root)
        config = merge_model_config(_saved_config(section), model_config)
        if policy.mode == "none":
            return PyFuncModel(meta, DescribedOnly(root), model_config=config)
        if env == "isolated":
            from pyfunc.loading.isolated import load_isolated

            with trusting(policy):
                # What the model lists would be installed, and installing runs code of packages.
                if env_manager != "local":
                    check_code_may_run("its environment", root)
            files.verify_all(progress=progress)
            if isinstance(model_config, os.PathLike):
                model_config = os.path.abspath(model_config)
            options = {
                "model_config": model_config,
                "coerce": coerce,
                **_trust_of_child(policy, files),
            }
            return load_isolated(
                root,
                meta,
                env_manager=env_manager,
                install_mlflow=install_mlflow,
                pip_requirements_override=pip_requirements_override,
                options=options,
                model_config=config,
                read_example=_example_reader(files, meta),
            )
        report = None
        if not suppress_warnings and on_mismatch != "ignore":
            report = _check_environment(root, section, on_mismatch)
        with trusting(policy):
            if section.get("code"):
                check_code_may_run("its code", root)
            opened = OpenedModel(files, meta, section, code_scope(files, section, meta), config)
            return _load_here(opened, report, coerce, place, progress)


def _check_choices(
    on_mismatch: str, env: str, env_manager: str | None, override: Sequence[str] | None
) -> None:
    if env not in ("running", "isolated"):
        raise InvalidArgumentError(f"env: expected 'running' or 'isolated', got {env!r}")
    if on_mismatch not in ("ignore", "warn", "raise"):
        raise InvalidArgumentError(
            f"on_mismatch: expected 'ignore', 'warn' or 'raise', got {on_mismatch!r}"
        )
    if override and (env == "running" or env_manager == "local"):
        raise InvalidArgumentError(
            "pip_requirements_override changes an environment that is made for the model, and "
            'the running one is used as it is\nhint: env="isolated" makes one'
        )


def _load_here(
    opened: OpenedModel,
    report: Report | None,
    coerce: Coerce,
    place: HeldPlace,
    progress: Progress | None,
) -> PyFuncModel:
    """Load an opened model into this process; a failure leaves nothing of it behind."""
    section, files = opened.section, opened.files
    stream = section.get("predict_stream_fn") or "predict_stream"
    try:
        files.verify_all(progress=progress)
        model = PyFuncModel(
            opened.meta,
            find_loader(opened)(opened),
            section.get("predict_fn") or "predict",
            stream if section.get("streamable") else None,
            model_config=opened.model_config,
            scope=opened.scope,
            read_example=_example_reader(files, opened.meta),
            coerce=coerce,
        )
        attach_handler(opened, model)
        place.check()
        return model  # noqa: TRY300 - a handler that fails counts as the model failing
    except BaseException as error:
        opened.scope.close()
        if report is not None:
            from pyfunc.env.checking.report import attach_report

            attach_report(error, report)
        raise


def _trust_of_child(policy: TrustPolicy, files: ModelFiles) -> dict[str, Any]:
    """Return the arguments that hold a child process to ``policy``."""
    options: dict[str, Any] = {
        "trust": policy.mode,
        "allowed_globals": sorted(policy.allowed_globals),
        "allow_other_python": policy.allow_other_python,
    }
    if policy.mode == "signature":
        options["trust"] = "digest"
    if files.manifest is not None:
        # Checked here; the child need only see that it reads the same files.
        options["expected_digest"] = files.manifest.digest
    else:
        options["verify"] = "skip"
    return options


def _saved_config(section: Mapping[str, Any]) -> Mapping[str, Any] | None:
    config = section.get("config")
    # MLflow stores a path as text when a loader module is given.
    return config if isinstance(config, Mapping) else None


def _check_environment(root: Path, section: Mapping[str, Any], on_mismatch: OnMismatch) -> Report:
    from pyfunc.env.checking.mismatch import check_requirements
    from pyfunc.env.checking.report import raise_mismatches, warn_mismatches

    report = check_requirements(root, python=section.get("python_version"))
    if on_mismatch == "raise":
        raise_mismatches(report)
    else:
        warn_mismatches(report)
    return report


def _example_reader(files: ModelFiles, meta: Model) -> Callable[[], Any]:
    def read() -> Any:
        info = meta.saved_input_example_info
        if info is None:
            return None
        from pyfunc.schema import read_input_example

        try:
            return read_input_example(
                info,
                lambda relative: files.read(relative, key="saved_input_example_info"),
                meta.get_input_schema(),
            )
        except Exception as error:  # an example is a convenience, the model works without it
            _logger.warning("%s: the input example cannot be read: %s", files.root, error)
            return None

    return read
