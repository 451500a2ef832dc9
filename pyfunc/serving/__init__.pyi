from .app import create_app as create_app
from .http.failures import ModelFailedError as ModelFailedError, status_of as status_of
from .http.messages import Reply as Reply, Request as Request
from .http.settings import ServingSettings as ServingSettings
from .running import run as run
from .service import Endpoint as Endpoint, ModelService as ModelService

__all__: list[str]
