"""The machine: threads and processes, progress bars, ONNX Runtime and OpenVINO sessions."""
