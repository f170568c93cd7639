"""A template of a facepad plug-in. facepad imports its modules through the entry points in pyproject.toml."""
