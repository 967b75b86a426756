"""What stops the real cloud from coming up."""

from __future__ import annotations


class RigError(Exception):
    """The real cloud could not be installed, started or stopped; the text says which part and why."""
