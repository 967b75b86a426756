"""Clears the record of a stuck EVS or Cinder volume attachment, once its server is proven gone."""
