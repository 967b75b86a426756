"""Clears the record of a stuck EVS or Cinder volume attachment, once its server is proven gone."""

NAME = "evs-detach"
"""What it calls itself: in its log, to the services that it asks, and as a command."""

__version__ = "1.0.0"
"""Written here and nowhere else: a zip, an image and a working copy have no installed package to ask."""
