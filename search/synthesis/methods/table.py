"""The table of methods. A new one is a row in its file, and its name here."""

from search.synthesis.methods.compose import METHOD as COMPOSE
from search.synthesis.methods.copies import METHOD as COPIES
from search.synthesis.methods.gan import METHOD as GAN
from search.synthesis.methods.img2img import METHOD as IMG2IMG
from search.synthesis.methods.interpolate import METHOD as INTERPOLATE
from search.synthesis.methods.method import Method

METHODS: dict[str, Method] = {method.name: method for method in (COPIES, COMPOSE, INTERPOLATE, GAN, IMG2IMG)}
