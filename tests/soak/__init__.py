"""The served function under a mixed load for a long time: `make soak`."""
