"""The functions behind the commands adapt, train, evaluate, calibrate, export, fuse, demo and cross."""
