from .batch.entry import predict_file as predict_file
from .spark.environments import build_model_env as build_model_env

__all__: list[str]
