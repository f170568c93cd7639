"""Graphs for deployment: 8 bit integers, OpenVINO's format, and how far their decisions are from the network's."""
