"""Pictures of what would be trained on: the ways of augmenting and mixing that a space can draw, on given images."""
