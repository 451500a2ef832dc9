"""Code that is not ours: the modules that a model ships, found, imported and kept apart."""
