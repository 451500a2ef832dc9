from . import (
    agent as agent,
    chat as chat,
    llm as llm,
    responses as responses,
    responses_parts as responses_parts,
)

__all__: list[str]
