"""From a folder of images to folds: what exists, what it looks like, what trains and what validates."""
