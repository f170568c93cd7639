"""The functions behind the commands train, evaluate, calibrate, export, fuse, demo and cross."""
