"""What the program needs of the machine: files, cache, digests, clocks, TensorFlow."""
