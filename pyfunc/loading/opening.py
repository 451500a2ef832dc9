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

from pyfunc.directory.opened import HeldPlace, ModelFiles, Verify, open_files
from pyfunc.directory.verification import Progress
from pyfunc.errors import InvalidArgumentError, shorten
from pyfunc.files.locations import resolve_model
from pyfunc.loading.overrides import merge_model_config
from pyfunc.model.description import Model
from pyfunc.model.opened import OpenedModel, code_scope, open_model, python_function_section
from pyfunc.pickles.allowlist import Allowlist
from pyfunc.trust import TrustMode, TrustPolicy, check_code_may_run, trusting

__all__ = ["Opening", "check_choice", "open_place", "read_opening"]

T = TypeVar("T")
Section = Mapping[str, Any]
SectionReader = Callable[[Model, Path], Section]

_VERIFY: tuple[Verify, ...] = ("auto", "require", "skip")
_TRUST: tuple[TrustMode, ...] = ("full", "digest", "signature", "allowlist", "none")


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

    def load(
        self,
        loader: Callable[[OpenedModel], T],
        *,
        keep: object = None,
        progress: Progress | None = None,
    ) -> T:
        """Return what ``loader`` makes of the model, once every file of it has been checked.

        ``keep`` and ``progress`` are those of :meth:`ModelFiles.verify_all`.

        Raises:
            ModelIntegrityError: files are not those that were saved, or the directory was
                replaced meanwhile.
            Exception: what the loader raises; nothing of the model's code stays behind.
        """
        opened = self.opened()
        try:
            self.files.verify_all(keep=keep, progress=progress)
            found = loader(opened)
            if self.place is not None:
                self.place.check()
            return found  # noqa: TRY300 - a replaced directory counts as a failure
        except BaseException:
            opened.scope.close()
            raise


@contextlib.contextmanager
def open_place(
    model_uri: str | os.PathLike[str],
    read_section: SectionReader = python_function_section,
    *,
    dst_path: str | None = None,
    model_config: Mapping[str, object] | str | Path | None = None,
    verify: Verify = "auto",
    trust: TrustMode = "full",
    expected_digest: str | None = None,
    public_key: str | os.PathLike[str] | None = None,
    expected_subject: str | None = None,
    allowed_globals: Iterable[str] = (),
    dangerously_allowed_globals: Iterable[str] = (),
    allow_other_python: bool = False,
    progress: Progress | None = None,
) -> Iterator[Opening]:
    """Open the model at ``model_uri``; what the caller trusts is in force in the body.

    ``read_section`` returns what of MLmodel says how the model is loaded; for the other
    arguments see ``load_model``.

    Raises:
        InvalidArgumentError: an argument cannot work; nothing has been read.
        ModelNotFoundError: there is no model at the place.
        ModelFormatError: its MLmodel file is malformed.
        ModelIntegrityError: files are not those that were saved.
        UntrustedModelError: they are not those that a digest or a key stands for.
    """
    check_choice("verify", verify, _VERIFY)
    check_choice("trust", trust, _TRUST)
    policy = TrustPolicy.from_arguments(
        trust,
        expected_digest=expected_digest,
        public_key=public_key,
        expected_subject=expected_subject,
        allowed_globals=allowed_globals,
        dangerously_allowed_globals=dangerously_allowed_globals,
        allow_other_python=allow_other_python,
    )
    if policy.mode == "allowlist":
        Allowlist(policy.allowed_globals, policy.dangerously_allowed_globals)
    root = resolve_model(model_uri, dst_path, progress=progress)
    with HeldPlace(root) as place, trusting(policy):
        files = open_files(root, verify, policy)
        yield read_opening(files, read_section, model_config=model_config, place=place)


def read_opening(
    files: ModelFiles,
    read_section: SectionReader,
    *,
    model_config: Mapping[str, object] | str | Path | None = None,
    place: HeldPlace | None = None,
) -> Opening:
    """Return the model that ``files`` are, with its MLmodel file read."""
    meta = open_model(files)
    section = read_section(meta, files.root)
    saved = section.get("config")
    # MLflow stores a path as text when a loader module is given.
    config = saved if isinstance(saved, Mapping) else None
    return Opening(files, meta, section, merge_model_config(config, model_config), place)


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
