from .app import create_app as create_app
from ..errors import ModelFailedError as ModelFailedError
from .http.endpoint import Endpoint as Endpoint
from .http.failures import status_of as status_of
from .http.messages import Reply as Reply, Request as Request
from .settings import ServingSettings as ServingSettings
from .running import run as run
from .service import ModelService as ModelService

__all__: list[str]
