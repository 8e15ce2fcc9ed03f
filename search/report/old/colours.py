"""The colours of charts and pages, by what they mean, for a light page and a dark one.

The best and what cannot be told from it are blue, the recommended trial orange, wrong predictions
purple, all others grey: distinct to people who see red and green alike, and in lightness. Charts
are drawn in the light ones; on a page each is a CSS variable of the same name.
"""

LIGHT = {
    "paper": "#fefefe",
    "shade": "#f3f5f7",
    "ink": "#1b2127",
    "soft": "#56616c",
    "line": "#dde2e6",
    "rest": "#848f9a",
    "best": "#0b62b0",
    "recommended": "#bd4d08",
    "wrong": "#a3246a",
    "level1": "#b4c0cb",
    "level2": "#8fb2d6",
    "level3": "#5a95cd",
    "level4": "#2271b9",
    "level5": "#083f74",
}
DARK = {
    "paper": "#14181d",
    "shade": "#1d2329",
    "ink": "#e7eaed",
    "soft": "#a6b0ba",
    "line": "#333b44",
    "rest": "#7d8893",
    "best": "#6cb2f5",
    "recommended": "#f59a4a",
    "wrong": "#ee7fb8",
    "level1": "#48525d",
    "level2": "#44678a",
    "level3": "#4a88c0",
    "level4": "#6cb2f5",
    "level5": "#c9e4ff",
}
VARIABLES = {colour: f"var(--{name})" for name, colour in LIGHT.items()}


def declared(colours: dict[str, str]) -> str:
    """Return colours as declarations of CSS variables."""
    return " ".join(f"--{name}: {colour};" for name, colour in colours.items())
