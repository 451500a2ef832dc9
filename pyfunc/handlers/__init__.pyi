from ..serving.samples.routes import handler_routes as handler_routes
from .attaching import add_handler as add_handler
from .loading import RequestHandler as RequestHandler
from .mounting import mount_project as mount_project
from .samples import samples_of as samples_of
from .signatures import HandlerSignature as HandlerSignature, SignatureField as SignatureField

__all__: list[str]
