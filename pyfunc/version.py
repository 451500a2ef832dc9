"""The version of this library, written in this one place."""

__all__ = ["VERSION"]

VERSION = "0.1.0"
