"""Cross-data-set evaluation: every model, and every run trained here, on every test set."""
