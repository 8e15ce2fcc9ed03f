"""How the weights of the backbone Embedded are made."""
