"""Graphs for deployment: 8 bit integers, OpenVINO's format, and their parity with the trained network."""
