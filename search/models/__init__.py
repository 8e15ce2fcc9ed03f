"""From a recipe to a network: backbones, augmentation, building, and the frozen part's activations."""
