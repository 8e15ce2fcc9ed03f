"""The networks of ``keras.applications``, a file for each family, and what their rows have in common."""
