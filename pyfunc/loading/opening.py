"""The beginning of every load: from what the caller asks for to an opened model.

The arguments are checked first, then the files are held against what the caller trusts, then the
MLmodel file is read. Nothing of the model has run until :meth:`Opening.load` calls the loader.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pyfunc.directory.manifest import Progress
from pyfunc.directory.opened import HeldPlace, ModelFiles, Verify
from pyfunc.errors import InvalidArgumentError, ModelNotFoundError, shorten
from pyfunc.files.locations import resolve_model
from pyfunc.loading.overrides import merge_model_config
from pyfunc.model.description import MLMODEL_FILE, Model
from pyfunc.model.opened import OpenedModel, code_scope, open_model, python_function_section
from pyfunc.trust import TrustMode, TrustPolicy, check_code_may_run, trusting

__all__ = ["LoadRequest", "Opening", "check_choice", "open_place", "open_root"]

T = TypeVar("T")
Section = Mapping[str, Any]
SectionReader = Callable[[Model, Path], Section]

_VERIFY: tuple[Verify, ...] = ("auto", "require", "skip")
_TRUST: tuple[TrustMode, ...] = ("full", "digest", "signature", "allowlist", "none")


@dataclass(frozen=True)
class LoadRequest:
    """What every load is asked for; see ``load_model`` for the meaning."""

    model_uri: str | os.PathLike[str]
    policy: TrustPolicy
    dst_path: str | None = None
    model_config: Mapping[str, object] | str | Path | None = None
    verify: Verify = "auto"

    @classmethod
    def from_arguments(
        cls,
        model_uri: str | os.PathLike[str],
        *,
        dst_path: str | None = None,
        model_config: Mapping[str, object] | str | Path | None = None,
        verify: Verify = "auto",
        trust: TrustMode = "full",
        expected_digest: str | None = None,
        public_key: str | os.PathLike[str] | None = None,
        allowed_globals: Iterable[str] = (),
        allow_other_python: bool = False,
    ) -> LoadRequest:
        """Return the arguments of ``load_model`` as a checked request; nothing is read.

        Raises:
            InvalidArgumentError: one cannot work.
        """
        check_choice("verify", verify, _VERIFY)
        check_choice("trust", trust, _TRUST)
        policy = TrustPolicy.from_arguments(
            trust,
            expected_digest=expected_digest,
            public_key=public_key,
            allowed_globals=allowed_globals,
            allow_other_python=allow_other_python,
        )
        return cls(model_uri, policy, dst_path, model_config, verify)


@dataclass(frozen=True)
class Opening:
    """A model that is being loaded: its MLmodel file is read, and nothing of it has run.

    Attributes:
        files: reads and confines every file of the directory.
        meta: the MLmodel file.
        section: what of it says how the model is loaded.
        model_config: the configuration after overrides, or None.
        place: tells whether the directory is still the one that was opened.
    """

    files: ModelFiles
    meta: Model
    section: Section
    model_config: dict[str, object] | None
    place: HeldPlace | None = None

    @property
    def root(self) -> Path:
        """The model directory."""
        return self.files.root

    def opened(self) -> OpenedModel:
        """Return what a loader is given, with a new name space for the code of the model.

        Raises:
            UntrustedModelError: the model has code, which the policy in force forbids.
        """
        if self.section.get("code"):
            check_code_may_run("its code", self.root)
        scope = code_scope(self.files, self.section, self.meta)
        return OpenedModel(self.files, self.meta, self.section, scope, self.model_config)

    def load(self, loader: Callable[[OpenedModel], T], *, progress: Progress | None = None) -> T:
        """Return what ``loader`` makes of the model, once every file of it has been checked.

        Raises:
            ModelIntegrityError: files are not those that were saved, or the directory was
                replaced meanwhile.
            Exception: what the loader raises; nothing of the model's code stays behind.
        """
        opened = self.opened()
        try:
            self.files.verify_all(progress=progress)
            found = loader(opened)
            if self.place is not None:
                self.place.check()
            return found  # noqa: TRY300 - a replaced directory counts as a failure
        except BaseException:
            opened.scope.close()
            raise


@contextlib.contextmanager
def open_place(
    request: LoadRequest, read_section: SectionReader = python_function_section
) -> Iterator[Opening]:
    """Open the model that was asked for; its trust policy is in force in the body.

    Raises:
        ModelNotFoundError: there is no model at the place.
        ModelFormatError: its MLmodel file is malformed.
        ModelIntegrityError: files are not those that were saved.
        UntrustedModelError: they are not those that a digest or a key stands for.
    """
    root = resolve_model(request.model_uri, request.dst_path)
    if not (root / MLMODEL_FILE).exists():
        raise ModelNotFoundError(
            f"no {MLMODEL_FILE} file in {root}\nhint: give the directory that save_model wrote"
        )
    with HeldPlace(root) as place, trusting(request.policy):
        yield open_root(root, request, read_section, place)


def open_root(
    root: Path,
    request: LoadRequest,
    read_section: SectionReader = python_function_section,
    place: HeldPlace | None = None,
) -> Opening:
    """Return the model in the directory ``root``, opened as ``request`` says."""
    files = _open_files(root, request.verify, request.policy)
    meta = open_model(files)
    section = read_section(meta, root)
    saved = section.get("config")
    # MLflow stores a path as text when a loader module is given.
    config = saved if isinstance(saved, Mapping) else None
    merged = merge_model_config(config, request.model_config)
    return Opening(files, meta, section, merged, place)


def _open_files(root: Path, verify: Verify, policy: TrustPolicy) -> ModelFiles:
    """Open the files of a model, held against what the policy trusts.

    A digest or a key that was given is held against the files in every mode: the environment may
    have lowered the mode, and must not take away what the caller asked for.
    """
    if policy.expected_digest is None and policy.public_key is None:
        return ModelFiles.open(root, verify=verify)
    signed = None
    if policy.public_key is not None:
        from pyfunc.directory.signing import verify_signature

        signed = verify_signature(root, public_key=policy.public_key)
    files = ModelFiles.open(root)
    if policy.expected_digest is not None:
        files.require_digest(policy.expected_digest)
    if signed is not None:
        files.require_digest(signed.digest)
    return files


def check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    """Check that the argument ``name`` is one of ``choices``.

    Raises:
        InvalidArgumentError: it is something else.
    """
    if not any(value == choice for choice in choices):
        *others, last = map(repr, choices)
        raise InvalidArgumentError(
            f"{name}: expected {', '.join(others)} or {last}, got {shorten(value)}"
        )
