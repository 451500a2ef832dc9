"""How each ML library is written and read: one module per library."""
