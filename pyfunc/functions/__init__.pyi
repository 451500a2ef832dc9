from .artifact import Artifact as Artifact
from .dataitem import Dataitem as Dataitem
from .events import Context as Context, Event as Event, Response as Response
from .function import Function as Function
from .model import Model as Model
from .outputs import handler as handler
from .project import (
    Project as Project,
    delete_project as delete_project,
    get_or_create_project as get_or_create_project,
    get_project as get_project,
    import_project as import_project,
    list_projects as list_projects,
    load_project as load_project,
    new_function as new_function,
    new_project as new_project,
)
from .run import Run as Run
from .secret import Secret as Secret
from .task import Task as Task

__all__: list[str]
