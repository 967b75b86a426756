"""Bytes that nobody vouches for, at everything that reads some: requests, answers, secrets, settings."""
