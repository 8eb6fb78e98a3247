"""The doors: identity, vault and the embedded database server."""
