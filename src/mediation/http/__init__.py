"""The counter: routes, schemas and problems over HTTP."""
