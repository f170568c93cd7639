"""Conversion of networks to 8 bit integers and to OpenVINO's format, and the parity with the trained network."""
