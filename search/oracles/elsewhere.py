"""What an ``hp`` lacks that people write: names of other libraries, and of older versions of Keras Tuner."""

from collections.abc import Mapping, Sequence

from search.system.validation import nearest

OWN = "hp.Choice, hp.Float, hp.Int, hp.Boolean, hp.Fixed and hp.conditional_scope"
ELSEWHERE: Mapping[str, str] = {
    **dict.fromkeys(("Uniform", "uniform", "suggest_float", "suggest_uniform", "Real"), "hp.Float(NAME, LOW, HIGH)"),
    **dict.fromkeys(("LogUniform", "loguniform", "suggest_loguniform"), 'hp.Float(NAME, LOW, HIGH, sampling="log")'),
    **dict.fromkeys(("Linear", "quniform"), "hp.Float(NAME, LOW, HIGH, step=STEP)"),
    **dict.fromkeys(("Range", "Integer", "randint", "suggest_int"), "hp.Int(NAME, LOW, HIGH)"),
    **dict.fromkeys(("Categorical", "choice", "suggest_categorical"), "hp.Choice(NAME, VALUES)"),
    **dict.fromkeys(("Bool", "boolean"), "hp.Boolean(NAME)"),
    **dict.fromkeys(("Normal", "normal"), "hp.Float(NAME, LOW, HIGH), as every value has bounds"),
}


def no_value(name: str, is_closed: bool, known: Sequence[str]) -> str:
    """Return why ``hp.get(name)`` has no value, and the way out; ``known`` are the names that are declared."""
    if is_closed:
        return (
            f"hp.get({name!r}): it has no value here, as the scope that it stands in is closed. Use what hp.Choice, "
            "hp.Float and the others return, within that scope."
        )
    near = nearest(name, known)
    return (
        f"hp.get({name!r}): the space declares no hyperparameter of this name before it. "
        + (f"Did you mean {near!r}? " if near else "")
        + f"Declare it first, such as {name} = hp.Choice({name!r}, VALUES), and use what that returns."
    )
