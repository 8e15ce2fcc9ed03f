"""Where jobs happen."""
