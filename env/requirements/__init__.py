"""Requirement lines and the files that hold them."""
