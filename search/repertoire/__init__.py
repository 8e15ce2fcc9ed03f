"""What a recipe can choose from: one table for each choice, one row for each value."""
