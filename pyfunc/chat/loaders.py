"""How MLmodel files name the three kinds of chats."""

from __future__ import annotations

__all__ = ["AGENT_LOADER", "CHAT_LOADERS", "MODEL_LOADER", "RESPONSES_LOADER"]

MODEL_LOADER = "mlflow.pyfunc.loaders.chat_model"
AGENT_LOADER = "mlflow.pyfunc.loaders.chat_agent"
RESPONSES_LOADER = "mlflow.pyfunc.loaders.responses_agent"

CHAT_LOADERS = frozenset({MODEL_LOADER, AGENT_LOADER, RESPONSES_LOADER})
"""The loader modules of their pickles."""
