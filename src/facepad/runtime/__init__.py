"""Running work: threads and processes, progress bars, the log, and the inference engines."""
