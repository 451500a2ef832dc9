"""A model as Python sees it: its description, what users subclass, and what loading gives."""
