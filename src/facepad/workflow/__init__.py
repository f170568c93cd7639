"""The long jobs as a user knows them: train, evaluate, calibrate and export."""
