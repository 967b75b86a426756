"""The image, built by a real builder and run by a real runtime, where the machine can."""
