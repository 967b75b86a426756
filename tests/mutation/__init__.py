"""One-line mutations of what decides whether a record is cleared: each must make a test fail.

`python -m tests.mutation --help` says how to run them.
"""
