"""What recipe.json of an export must have for programs to use it, as a JSON schema, and what is wrong in one."""

import re
from typing import Any

import jsonschema

COUNT = {"type": "integer", "minimum": 0}
SIDE = {"type": "integer", "minimum": 1}  # of an input in px
SHARE = {"type": "number", "minimum": 0, "maximum": 1}
LIMIT = {"type": ["number", "null"]}
INTERVAL = {
    "type": "object",
    "required": ["mean", "low", "high"],
    "properties": {"mean": {"type": "number"}, "low": LIMIT, "high": LIMIT},
}
SCHEMA = {
    "type": "object",
    "required": ["format", "image_size", "classes", "files"],
    "properties": {
        "classes": {"type": "object", "minProperties": 1, "additionalProperties": COUNT},
        "image_size": SIDE,
        "image_sizes": {"type": "array", "minItems": 1, "items": SIDE},
        "files": {"type": "object", "required": ["model.keras"], "additionalProperties": {"type": "string"}},
        "ranges": {"type": ["object", "null"], "additionalProperties": SIDE},
        "members": {"type": "array", "items": {"type": "object"}},
        "promise": {
            "type": ["object", "null"],
            "required": ["objective", "expected", "accuracy", "corrected"],
            "properties": {
                "objective": {"type": "string"},
                "expected": INTERVAL,
                "accuracy": INTERVAL,
                "corrected": {"type": "boolean"},
            },
        },
        "unsure": {
            "type": ["object", "null"],
            "required": ["answers", "steps"],
            "properties": {
                "answers": SIDE,
                "steps": {
                    "type": "array",
                    "minItems": 1,
                    "items": {"type": "array", "prefixItems": [SHARE, SIDE, COUNT], "minItems": 3, "maxItems": 3},
                },
            },
        },
    },
}
LONGEST = 120  # letters of a reason


def flaw(about: Any) -> str:
    """Return what is wrong in a recipe.json as JSON types, with its place, such as "$.image_size: …"; "" for nothing.

    Keys that an earlier version did not write may lack.
    """
    found = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(SCHEMA).iter_errors(about))
    if found is None:
        return ""
    message = re.sub(r"\s+", " ", found.message)
    return f"{found.json_path}: {message if len(message) <= LONGEST else f'{message[:LONGEST]} …'}"
