"""Django made fit for production: entries, middleware, static files, log-in, health, checks."""
