"""The law: pure values in, pure values out."""
