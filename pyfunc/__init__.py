"""Save, load and run Python models in the MLflow ``python_function`` format.

::

    import pyfunc

    pyfunc.save_model("model", python_model=MyModel(), input_example=frame)
    model = pyfunc.load_model("model")
    model.predict(frame)

Everything here is imported when it is first used; ``import pyfunc`` itself is cheap.
"""

from __future__ import annotations

from pyfunc._lazy import face
from pyfunc.version import VERSION as __version__  # noqa: N811 - the name that tools look for

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        ".chat.classes": ("ChatAgent", "ChatModel", "ResponsesAgent"),
        ".directory.signing": ("sign",),
        ".distributed.spark.entry": ("spark_udf",),
        ".env": ("get_model_dependencies",),
        ".errors": (
            "EnvironmentMismatchError",
            "FlavorNotFoundError",
            "HandlerError",
            "IncompatiblePythonError",
            "InvalidArgumentError",
            "InvalidTypeError",
            "MissingDependencyError",
            "ModelFormatError",
            "ModelIncompleteError",
            "ModelIntegrityError",
            "ModelNotFoundError",
            "ModelPathError",
            "PyfuncError",
            "PyfuncWarning",
            "SaveConflictError",
            "SaveError",
            "SchemaError",
            "StoreError",
            "UntrustedModelError",
        ),
        ".inspection": ("inspect", "refresh", "verify"),
        ".loading.entry": ("load_model",),
        ".model.config": ("ModelConfig", "set_model"),
        ".model.description": ("Model", "add_to_model"),
        ".model.loaded": ("PyFuncModel",),
        ".model.python_model": ("PythonModel", "PythonModelContext"),
        ".saving.entry": ("save_model",),
        ".schema": ("ModelSignature", "infer_signature"),
        ".tracking.entry": ("log_model",),
        ".validation.entry": ("validate",),
    },
    modules=(
        "cortex",
        "env",
        "flavors",
        "functions",
        "handlers",
        "isolated",
        "schema",
        "serving",
        "types",
    ),
)
__all__ += ["__version__"]
