from . import (
    cortex as cortex,
    env as env,
    flavors as flavors,
    functions as functions,
    handlers as handlers,
    isolated as isolated,
    schema as schema,
    serving as serving,
    types as types,
)
from .chat.classes import (
    ChatAgent as ChatAgent,
    ChatModel as ChatModel,
    ResponsesAgent as ResponsesAgent,
)
from .directory.signing import sign as sign
from .distributed.spark.entry import spark_udf as spark_udf
from .env import get_model_dependencies as get_model_dependencies
from .errors import (
    EnvironmentMismatchError as EnvironmentMismatchError,
    FlavorNotFoundError as FlavorNotFoundError,
    HandlerError as HandlerError,
    IncompatiblePythonError as IncompatiblePythonError,
    InvalidArgumentError as InvalidArgumentError,
    InvalidTypeError as InvalidTypeError,
    MissingDependencyError as MissingDependencyError,
    ModelFormatError as ModelFormatError,
    ModelIncompleteError as ModelIncompleteError,
    ModelIntegrityError as ModelIntegrityError,
    ModelNotFoundError as ModelNotFoundError,
    ModelPathError as ModelPathError,
    PyfuncError as PyfuncError,
    PyfuncWarning as PyfuncWarning,
    SaveConflictError as SaveConflictError,
    SaveError as SaveError,
    SchemaError as SchemaError,
    StoreError as StoreError,
    UntrustedModelError as UntrustedModelError,
)
from .inspection import inspect as inspect, refresh as refresh, verify as verify
from .loading.entry import load_model as load_model
from .model.config import ModelConfig as ModelConfig, set_model as set_model
from .model.description import Model as Model, add_to_model as add_to_model
from .model.loaded import PyFuncModel as PyFuncModel
from .model.python_model import (
    PythonModel as PythonModel,
    PythonModelContext as PythonModelContext,
)
from .saving.entry import save_model as save_model
from .schema import ModelSignature as ModelSignature, infer_signature as infer_signature
from .tracking.entry import log_model as log_model
from .validation.entry import validate as validate

__version__: str

__all__: list[str]
