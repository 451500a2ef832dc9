"""A model in a child process, in an environment of its own; values cross without pickle."""

from pyfunc.loading.isolated import IsolatedModel, load_isolated

__all__ = ["IsolatedModel", "load_isolated"]
