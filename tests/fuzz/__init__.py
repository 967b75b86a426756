"""The served function against its own OpenAPI description: `make fuzz`."""
