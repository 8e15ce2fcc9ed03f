"""The journal: what happened in a search, and the state that follows from it."""
