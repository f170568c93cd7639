"""Procedural portraits: subjects, their faces, hair, bodies, rooms and cameras, drawn from numbers alone."""
