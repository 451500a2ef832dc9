from .actors import BatchPredictor as BatchPredictor
from .entry import predict as predict

__all__: list[str]
