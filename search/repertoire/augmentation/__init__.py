"""Augmentation: policies, a file for each family, and the views that they make of images."""

from search.repertoire.augmentation.augment import AUGMENT, VIEWS, Augment
from search.repertoire.augmentation.crops import OPERATIONS
from search.repertoire.augmentation.policy import Option, Policy
from search.repertoire.augmentation.table import POLICIES
from search.repertoire.augmentation.views import AS_IS, MIRRORED, batches_of

__all__ = [
    "AS_IS",
    "AUGMENT",
    "MIRRORED",
    "OPERATIONS",
    "POLICIES",
    "VIEWS",
    "Augment",
    "Option",
    "Policy",
    "batches_of",
]
