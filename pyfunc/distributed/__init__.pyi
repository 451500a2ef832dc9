from .batch.entry import predict_file as predict_file

__all__: list[str]
