"""Training with Lightning: recipes, crops, augmentation, and stages that can resume after a kill."""
