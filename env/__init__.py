"""What a model needs to run: environment files, inference, mismatches, isolated environments."""
