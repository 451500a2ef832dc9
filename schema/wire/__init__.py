"""Bodies of requests and responses: JSON, CSV and parquet, to data and back."""
