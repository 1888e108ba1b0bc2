"""One call of a service, from the visitor's request to what the answer means; no HTML."""
