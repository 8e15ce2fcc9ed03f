"""Read a data set, whatever it is, into one table: class folders, a CSV manifest, arrays."""
