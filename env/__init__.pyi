from .checking.locking import lock as lock
from .checking.mismatch import check as check
from .checking.report import Mismatch as Mismatch, Report as Report
from .creating.environments import (
    Environment as Environment,
    prepare_environment as prepare_environment,
)
from .inference.entry import (
    InferredRequirement as InferredRequirement,
    infer_requirements as infer_requirements,
)
from .requirements.dependencies import get_model_dependencies as get_model_dependencies
from .specification import EnvironmentSpec as EnvironmentSpec
from .updating import update_requirements as update_requirements

__all__: list[str]
