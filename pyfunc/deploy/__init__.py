"""Container images, of models above all: the build context, and the engine that builds it."""

from __future__ import annotations

from pyfunc._lazy import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        ".dockerfile": ("DockerfilePlan", "render_dockerfile"),
        ".engine": ("build_image", "check_tag", "find_engine"),
        ".image": ("BuildContext", "ImageContents", "write_image"),
        ".model_image": ("write_context",),
    },
)
