"""The homepage: one section per service, called over HTTP. Its surface is its URLs, settings and ASGI application."""
