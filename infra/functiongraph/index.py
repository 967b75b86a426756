"""What FunctionGraph calls as ``index.handler``: the console's default name for a Python function's entry."""

from handler.main import functiongraph as handler

__all__ = ["handler"]
