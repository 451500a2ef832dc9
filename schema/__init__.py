"""What goes in and out of a model: types, signatures, inference, enforcement."""
