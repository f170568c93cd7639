"""Adaptation of a model to one site: reading the images, judging them, fitting, choosing, and the evidence."""
