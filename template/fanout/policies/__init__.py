"""When a call may be made, and how long it may take: in one process, without HTTP and Django."""
