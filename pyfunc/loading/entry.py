"""``load_model``: from a place to a model that predicts (format.md 4)."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from pyfunc.directory.opened import ModelFiles, Verify
from pyfunc.directory.verification import Progress
from pyfunc.errors import InvalidArgumentError
from pyfunc.handlers.attached import attach_handler
from pyfunc.loading.loaders import find_loader
from pyfunc.loading.opening import Opening, check_choice, open_place
from pyfunc.loading.registry import PYTHON_LOADERS
from pyfunc.model.description import Model
from pyfunc.model.loaded import DescribedOnly, PyFuncModel
from pyfunc.model.opened import OpenedModel
from pyfunc.trust import TrustMode, TrustPolicy, check_code_may_run, current_policy

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
    model_config: Mapping[str, object] | str | Path | None = None,
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
    expected_subject: str | None = None,
    allowed_globals: Iterable[str] = (),
    dangerously_allowed_globals: Iterable[str] = (),
    allow_other_python: bool = False,
    progress: Progress | None = None,
) -> PyFuncModel:
    """Return the model in the directory at ``model_uri``, ready to predict.

    Nothing is written into the directory. Modules that the model ships are importable until it is
    closed: under their plain names, or under names of their own where something else has those.
    No entry of ``sys.modules`` that was there is changed.

    Args:
        model_uri: a path, a ``file:`` URI, a URL that fsspec reads, or a URI that MLflow's
            client resolves: ``models:/name/1``, ``models:/name@alias``, ``runs:/id/path``, ...
        suppress_warnings: do not compare the environment with the one at training.
        dst_path: an existing directory that a remote model is downloaded into; a download from
            a store that was cut off there goes on where it ended.
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
        expected_subject: what that signature must be of, as ``sign(..., subject=)`` said it.
        allowed_globals: ``module.name`` of what a pickle may import, beside a base list. Only
            what is known to hold data: their modules are imported to see that.
        dangerously_allowed_globals: names that a pickle may import and call, whatever they do
            with the arguments that the pickle gives them: one such as ``os.system`` lets it do
            everything.
        allow_other_python: load a pickle with code of another Python version, which may crash.
        progress: called with the bytes of the model checked so far and the bytes to check; of
            one in a store, first with the bytes that are copied.

    Raises:
        ModelNotFoundError: there is no model at the place.
        StoreError: a store or a tracking server failed.
        ModelFormatError: its MLmodel file is malformed or names files outside the directory.
        ModelIntegrityError: files are not those that were saved.
        ModelIncompleteError: a part of the model is missing or broken.
        FlavorNotFoundError: nothing here loads this kind of model.
        IncompatiblePythonError: the model holds code of another Python version.
        UntrustedModelError: the environment forbids running code of models.
    """
    check_choice("on_mismatch", on_mismatch, get_args(OnMismatch))
    check_choice("coerce", coerce, ("safe", None))
    _check_environment_choices(env, env_manager, pip_requirements_override)
    with open_place(
        model_uri,
        dst_path=dst_path,
        model_config=model_config,
        verify=verify,
        trust=trust,
        expected_digest=expected_digest,
        public_key=public_key,
        expected_subject=expected_subject,
        allowed_globals=allowed_globals,
        dangerously_allowed_globals=dangerously_allowed_globals,
        allow_other_python=allow_other_python,
        progress=progress,
    ) as opening:
        if current_policy().mode == "none":
            described = DescribedOnly(opening.root)
            return PyFuncModel(opening.meta, described, model_config=opening.model_config)
        if env == "running":
            compared = "ignore" if suppress_warnings else on_mismatch
            model = _load_here(opening, compared, coerce, progress)
        else:
            model = _load_isolated(
                opening,
                coerce,
                progress,
                given_config=model_config,
                env_manager=env_manager,
                install_mlflow=install_mlflow,
                pip_requirements_override=pip_requirements_override,
            )
        if opening.files.manifest is not None:
            model.digest = opening.files.manifest.digest
        return model


def _check_environment_choices(
    env: str, env_manager: str | None, override: Sequence[str] | None
) -> None:
    check_choice("env", env, ("running", "isolated"))
    if env_manager is not None:
        from pyfunc.env.creating.installers import EnvManager

        check_choice("env_manager", env_manager, get_args(EnvManager))
    if override and (env == "running" or env_manager == "local"):
        raise InvalidArgumentError(
            "pip_requirements_override changes an environment that is made for the model, and "
            'the running one is used as it is\nhint: env="isolated" makes one'
        )


def _load_here(
    opening: Opening, on_mismatch: OnMismatch, coerce: Coerce, progress: Progress | None
) -> PyFuncModel:
    """Load an opened model into this process."""
    report = None
    if on_mismatch != "ignore":
        report = _check_environment(opening, on_mismatch)

    def load(opened: OpenedModel) -> PyFuncModel:
        section = opened.section
        stream = section.get("predict_stream_fn") or "predict_stream"
        model = PyFuncModel(
            opened.meta,
            find_loader(opened)(opened),
            section.get("predict_fn") or "predict",
            stream if section.get("streamable") else None,
            model_config=opened.model_config,
            scope=opened.scope,
            read_example=_example_reader(opened.files, opened.meta),
            coerce=coerce,
            again=_again(opened, coerce),
        )
        attach_handler(opened, model)
        return model

    try:
        return opening.load(load, keep=_pickle_of(opening.section), progress=progress)
    except BaseException as error:
        if report is not None:
            from pyfunc.env.checking.report import attach_report

            attach_report(error, report)
        raise


def _pickle_of(section: Mapping[str, object]) -> object:
    """Return the name of the file that the loader reads whole; None where it may read none."""
    if section.get("loader_module") not in PYTHON_LOADERS or section.get("model_code_path"):
        return None
    return section.get("python_model")


def _again(
    opened: OpenedModel, coerce: Coerce
) -> tuple[Callable[..., PyFuncModel], Path, tuple[object, ...]]:
    """Return how another process loads the same model, in arguments that MLflow takes too."""
    options: dict[str, object] = {} if coerce is None else {"coerce": coerce}
    policy = current_policy()
    if policy.mode != "full" or policy.allow_other_python or policy.allowed_globals:
        options |= _trust_of_child(policy, opened.files)
    load = partial(load_model, **options) if options else load_model  # type: ignore[arg-type]
    saved = opened.section.get("config")
    config = opened.model_config if opened.model_config != saved else None
    return load, opened.root.absolute(), (True, None, config)


def _load_isolated(
    opening: Opening,
    coerce: Coerce,
    progress: Progress | None,
    *,
    given_config: Mapping[str, object] | str | Path | None,
    env_manager: EnvManager | None,
    install_mlflow: bool | None,
    pip_requirements_override: Sequence[str] | None,
) -> PyFuncModel:
    """Load an opened model into a child process, in an environment of its own."""
    from pyfunc.loading.isolated import load_isolated

    # What the model lists would be installed, and installing runs code of packages.
    if env_manager != "local":
        check_code_may_run("its environment", opening.root)
    opening.files.verify_all(progress=progress)
    if isinstance(given_config, os.PathLike):
        given_config = os.path.abspath(given_config)
    return load_isolated(
        opening.root,
        opening.meta,
        env_manager=env_manager,
        install_mlflow=install_mlflow,
        pip_requirements_override=pip_requirements_override,
        options={
            "model_config": given_config,
            "coerce": coerce,
            **_trust_of_child(current_policy(), opening.files),
        },
        model_config=opening.model_config,
        read_example=_example_reader(opening.files, opening.meta),
        files=opening.files,
    )


def _trust_of_child(policy: TrustPolicy, files: ModelFiles) -> dict[str, object]:
    """Return the arguments that hold a child process to ``policy``."""
    options: dict[str, object] = {
        "trust": policy.mode,
        "allowed_globals": sorted(policy.allowed_globals),
        "dangerously_allowed_globals": sorted(policy.dangerously_allowed_globals),
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


def _check_environment(opening: Opening, on_mismatch: OnMismatch) -> Report:
    from pyfunc.env.checking.mismatch import check_requirements
    from pyfunc.env.checking.report import raise_mismatches, warn_mismatches

    report = check_requirements(
        opening.root, python=opening.section.get("python_version"), files=opening.files
    )
    if on_mismatch == "raise":
        raise_mismatches(report)
    else:
        warn_mismatches(report)
    return report


def _example_reader(files: ModelFiles, meta: Model) -> Callable[[], object]:
    def read() -> object:
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
