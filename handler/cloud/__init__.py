"""Speaks to the cloud's services. Knows no trigger, no rule, and not where a token comes from."""
