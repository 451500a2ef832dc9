"""Data against a schema: checked, cast where nothing is lost, or refused with every reason."""
