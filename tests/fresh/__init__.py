"""The README's two commands, run on machines that have only what the README names."""
