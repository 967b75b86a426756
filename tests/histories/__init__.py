"""The function's own code at the embedded cloud, under a time and an order of steps that a seed decides."""
