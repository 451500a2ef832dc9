"""Straight lines through points."""

from linefit.model import Line

__all__ = ["Line"]
