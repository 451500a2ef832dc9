"""Models as user-defined functions of Spark."""
