"""What a model needs to run: environment files, inference, mismatches, isolated environments."""

from __future__ import annotations

from pyfunc._lazy import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        ".checking.locking": ("lock",),
        ".checking.mismatch": ("check",),
        ".checking.report": ("Mismatch", "Report"),
        ".creating.environments": ("Environment", "prepare_environment"),
        ".inference.entry": ("InferredRequirement", "infer_requirements"),
        ".requirements.dependencies": ("get_model_dependencies",),
        ".specification": ("EnvironmentSpec",),
        ".updating": ("update_requirements",),
    },
)
