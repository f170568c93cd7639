"""What a trained model is on disk: model files, run folders, the catalogue, and the scorers that run them."""
