"""Save, load and run Python models in the MLflow ``python_function`` format."""
