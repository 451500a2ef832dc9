"""What a model needs held against what is installed here."""
