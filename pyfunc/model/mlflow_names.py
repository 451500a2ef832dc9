"""The names that MLflow gives to what this library has: written once, read in both directions.

The unpickler and the stand-in package turn MLflow's names into our objects; the pickler turns our
objects into MLflow's names, so that a saved model refers to nothing of ours.
"""

from __future__ import annotations

import importlib
import sys
from functools import cache

from pyfunc.directory.mlmodel import PYTHON_LOADER
from pyfunc.model import hints, python_model

__all__ = [
    "FLAVORS",
    "MODULES",
    "NAMES",
    "OLDER_NAMES",
    "PICKLED",
    "SCHEMAS",
    "TYPES",
    "mlflow_module",
    "mlflow_name",
    "resolve",
]

_SCHEMA_NAMES = {
    name: f"pyfunc.schema:{name}"
    for name in (
        "AnyType",
        "Array",
        "ColSpec",
        "DataType",
        "Map",
        "Object",
        "ParamSchema",
        "ParamSpec",
        "Property",
        "Schema",
        "SparkMLVector",
        "TensorInfo",
        "TensorSpec",
        "convert_dataclass_to_schema",
    )
}
_SIGNATURE_NAMES = {
    "ModelSignature": "pyfunc:ModelSignature",
    "infer_signature": "pyfunc:infer_signature",
    "set_signature": "pyfunc.schema:set_signature",
}
# What pickles of MLflow name and the face does not.
_HINT_NAMES = {
    "FuncInfo": f"{hints.__name__}:FuncInfo",
    "_validate_model_input": f"{hints.__name__}:validate_model_input",
    "wrap_non_list_predict_pydantic": "pyfunc.chat.classes:wrap_dict_predict",
    "pyfunc": f"{hints.__name__}:pyfunc",
}

_CHATS = {name: f"pyfunc:{name}" for name in ("ChatModel", "ChatAgent", "ResponsesAgent")}
_CHAT_SCHEMAS = "pyfunc.chat.signatures"


# MLflow's module -> its name -> "our module:our name". Where MLflow offers one object under
# several names, the first entry is the one that pickles written here use.
NAMES: dict[str, dict[str, str]] = {
    PYTHON_LOADER: {
        "PythonModel": "pyfunc:PythonModel",
        "PythonModelContext": "pyfunc:PythonModelContext",
        "_FunctionPythonModel": f"{python_model.__name__}:FunctionModel",
        **_CHATS,
    },
    "mlflow.pyfunc": {
        name: f"pyfunc:{name}"
        for name in (
            "PyFuncModel",
            "PythonModel",
            "PythonModelContext",
            "add_to_model",
            "get_model_dependencies",
            "load_model",
            "save_model",
        )
    }
    | _CHATS,
    "mlflow.pyfunc.utils.data_validation": _HINT_NAMES,
    "mlflow.pyfunc.utils": _HINT_NAMES,
    "mlflow.models.model": {"Model": "pyfunc:Model", "set_model": "pyfunc:set_model"},
    "mlflow.models.model_config": {"ModelConfig": "pyfunc:ModelConfig"},
    "mlflow.models.signature": {
        **_SIGNATURE_NAMES,
        "_TypeHints": f"{hints.__name__}:TypeHints",
        "_infer_schema": "pyfunc.schema:infer_schema",
    },
    "mlflow.models": {
        **_SIGNATURE_NAMES,
        "Model": "pyfunc:Model",
        "ModelConfig": "pyfunc:ModelConfig",
        "set_model": "pyfunc:set_model",
        "validate_schema": "pyfunc.schema:validate_schema",
    },
    "mlflow.models.utils": {
        "_enforce_params_schema": "pyfunc.schema:enforce_params",
        "_enforce_schema": "pyfunc.schema:enforce_schema",
        "validate_schema": "pyfunc.schema:validate_schema",
    },
    "mlflow.types.schema": _SCHEMA_NAMES,
    "mlflow.types": _SCHEMA_NAMES,
    "mlflow.types.utils": {"_infer_schema": "pyfunc.schema:infer_schema"},
    "mlflow.types.type_hints": {
        "TypeFromExample": "pyfunc.schema:TypeFromExample",
        "model_validate": "pyfunc.chat.problems:check_strictly",
    },
    "mlflow.types.llm": {
        "CHAT_MODEL_INPUT_SCHEMA": f"{_CHAT_SCHEMAS}:CHAT_MODEL_INPUTS",
        "CHAT_MODEL_OUTPUT_SCHEMA": f"{_CHAT_SCHEMAS}:CHAT_MODEL_OUTPUTS",
    },
    "mlflow.types.agent": {
        "CHAT_AGENT_INPUT_SCHEMA": f"{_CHAT_SCHEMAS}:CHAT_AGENT_INPUTS",
        "CHAT_AGENT_OUTPUT_SCHEMA": f"{_CHAT_SCHEMAS}:CHAT_AGENT_OUTPUTS",
    },
    "mlflow.types.chat": {},
    "mlflow.types.responses": {
        "RESPONSES_AGENT_INPUT_SCHEMA": f"{_CHAT_SCHEMAS}:RESPONSES_INPUTS",
        "RESPONSES_AGENT_OUTPUT_SCHEMA": f"{_CHAT_SCHEMAS}:RESPONSES_OUTPUTS",
    },
    "mlflow.types.responses_helpers": {},
    "mlflow.exceptions": {"MlflowException": "pyfunc:PyfuncError"},
    "mlflow": {},
    "mlflow.utils": {},
}

_WRAPPERS = "pyfunc.flavors.mlflow_wrappers"
# What only pickles name, and only where MLflow itself has written them.
PICKLED = {
    ("mlflow.catboost", "_CatboostModelWrapper"): f"{_WRAPPERS}:CatboostWrapper",
    ("mlflow.lightgbm", "_LGBModelWrapper"): f"{_WRAPPERS}:LightgbmWrapper",
    ("mlflow.onnx", "_OnnxModelWrapper"): f"{_WRAPPERS}:OnnxWrapper",
    ("mlflow.pytorch", "_PyTorchWrapper"): f"{_WRAPPERS}:TorchWrapper",
    ("mlflow.sklearn", "_SklearnModelWrapper"): f"{_WRAPPERS}:SklearnWrapper",
    ("mlflow.xgboost", "_XGBModelWrapper"): f"{_WRAPPERS}:XgboostWrapper",
    (PYTHON_LOADER, "_PythonModelPyfuncWrapper"): "pyfunc.model.runner:PythonModelRunner",
}

# Our modules that code may refer to as a whole, and MLflow's module of the same use. Where two
# are of one use, the first has what code of MLflow looks for.
MODULES = {
    "pyfunc": "mlflow.pyfunc",
    "pyfunc.errors": "mlflow.exceptions",
    "pyfunc.schema": "mlflow.types",
    "pyfunc.types": "mlflow.types",
    "pyfunc.types.agent": "mlflow.types.agent",
    "pyfunc.types.chat": "mlflow.types.chat",
    "pyfunc.types.llm": "mlflow.types.llm",
    "pyfunc.types.records": "mlflow.types.chat",
    "pyfunc.types.responses": "mlflow.types.responses",
    "pyfunc.types.response_items": "mlflow.types.responses",
    "pyfunc.types.responses_parts": "mlflow.types.responses_helpers",
}
TYPES = "pyfunc.types."
# What a release before called a type, where what is pickled here would do there too.
OLDER_NAMES = {
    ("mlflow.types.responses", f"ResponsesAgent{word}"): f"Responses{word}"
    for word in ("Request", "Response", "StreamEvent")
}
FLAVORS = "pyfunc.flavors"
SCHEMAS = "pyfunc.schema."


def resolve(module: str, name: str) -> object:
    """Return our object for MLflow's ``module.name``.

    Raises:
        KeyError: this library has no counterpart.
    """
    place = PICKLED.get((module, name)) or NAMES[module][name]
    home, _, attribute = place.partition(":")
    found: object = getattr(importlib.import_module(home), attribute)
    return found


def mlflow_module(name: str) -> str | None:
    """Return MLflow's module for our module ``name``, or None."""
    package, _, flavor = name.rpartition(".")
    if package == FLAVORS:
        return f"mlflow.{flavor}"
    return MODULES.get(name)


def mlflow_name(value: object) -> tuple[str, str] | None:
    """Return MLflow's (module, name) for an object of ours, or None."""
    module = getattr(value, "__module__", None)
    if not isinstance(module, str) or not module.startswith("pyfunc."):
        return None
    name = getattr(value, "__name__", "")
    for theirs in _by_our_name().get(name, ()):
        if resolve(*theirs) is value:
            return theirs
    # The types of chats have MLflow's names.
    of_types = module.startswith(TYPES) and module in MODULES
    if of_types and getattr(sys.modules[module], name, None) is value:
        return MODULES[module], name
    return None


@cache
def _by_our_name() -> dict[str, list[tuple[str, str]]]:
    """Return our name -> MLflow's (module, name) of the objects that have it."""
    table: dict[str, list[tuple[str, str]]] = {}
    for module, names in NAMES.items():
        for name, home in names.items():
            table.setdefault(home.partition(":")[2], []).append((module, name))
    return table
