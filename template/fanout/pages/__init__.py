"""Many calls become a page, at once or piece by piece."""
