"""The engine: it calls services, puts what they say on pages, and serves those. See README.md here."""
