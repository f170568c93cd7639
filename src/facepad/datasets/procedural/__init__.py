"""Procedural portraits: subjects with faces, hair and bodies, rooms and cameras, drawn from random numbers."""
