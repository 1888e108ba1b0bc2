"""Yours. A file under `jinja2/` or `static/` here wins over fanout's of the same name."""
