"""The styles compared: a page that draws them, and a command that measures them."""
