"""Callers who withhold something, many at once, against `python -m handler serve`: `make abuse`."""
