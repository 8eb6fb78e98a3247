"""The memory: what is stored, and the only commit."""
