"""What the benchmark adds to a generated project; it changes none of the project's files."""
