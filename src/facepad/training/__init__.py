"""Training: recipes, crops, augmentation, and stages on Lightning that survive a kill."""
