"""Models on disk: model files, run folders, the catalogue of models by name, and the scorers that run them."""
