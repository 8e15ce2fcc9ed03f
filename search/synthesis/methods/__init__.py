"""Ways to make synthetic images, a file for each."""
