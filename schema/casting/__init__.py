"""Values, columns and nested values of one type: cast where nothing is lost, or refused."""
