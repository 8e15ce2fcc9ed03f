"""Whether what a search wrote is still what it was, and whether the search may go on with what is there now."""
