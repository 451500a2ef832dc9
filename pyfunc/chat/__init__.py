"""Chat models and agents: the classes that users subclass, and what surrounds their methods."""
