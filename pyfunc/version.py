"""The version of this library, written in this one place."""

__all__ = ["VERSION"]

VERSION = "1.0.0rc1"
