"""What a person at a terminal, or a script in their place, types and sees."""
