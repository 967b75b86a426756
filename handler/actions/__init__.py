"""What is done: each module a verb or a noun of the field. Knows no trigger and no HTTP."""
