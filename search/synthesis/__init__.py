"""Synthetic images: how they are made, and which folds they may train."""
