"""From the winner to a model that works on its own."""
