"""The model in artifacts/model behind its request handler, as pyfunc-format wrote it."""

import sys

from mlflow.models import set_model
from mlflow.pyfunc import PythonModel


class HandledModel(PythonModel):
    def load_context(self, context):
        try:
            import pyfunc
        except ModuleNotFoundError:
            sys.path.append(context.artifacts["runtime"])
            import pyfunc
        self.model = pyfunc.load_model(context.artifacts["model"])

    def predict(self, context, model_input, params=None):
        from pyfunc.handlers.samples import samples_of

        return [self.model.predict_sample(sample) for sample in samples_of(model_input)]


set_model(HandledModel())
