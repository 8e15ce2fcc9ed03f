"""What `tests/frozen` is made of and compared with: fixed data, commands in processes of their own, the machine.

All of it goes through `python -m search`, the names that `search` exports and the files of a results folder, so
that it outlives any module.
"""

import hashlib
import itertools
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
FROZEN = ROOT / "tests" / "frozen"
SPACES = FROZEN / "spaces"
SHARED = ROOT.parent / "shared"
SLOTS = 2
PATIENCE = 1200  # seconds
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
SEARCHES = """
import json, sys
from search import KFoldTuner

for space, options in json.loads(sys.argv[1]):
    KFoldTuner(space, **options).search()
"""


# --- the machine


def versions(*packages):
    """Return the versions of packages, and of Python."""
    return {"python": platform.python_version(), **{package: version(package) for package in packages}}


@cache
def machine():
    """Return what last decimals of training depend on."""
    told = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    fields = dict(re.findall(r"^(model name|flags)\s*:\s*(.*)$", told, re.MULTILINE))
    flags = sorted(flag for flag in fields.get("flags", "").split() if re.match(r"sse4|avx|fma|amx|f16c", flag))
    return {
        "cpu": fields.get("model name", platform.machine()),
        "flags": " ".join(flags),
        "threads": 1,
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
        **versions("tensorflow", "keras", "numpy"),
    }


PLANNED_BY = ("numpy", "scipy", "scikit-learn", "pillow", "opencv-python-headless", "keras-tuner", "optuna")
DRAWN_BY = (
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "statsmodels",
    "pillow",
    "altair",
    "vl-convert-python",
    "jinja2",
    "rich",
)


def drawn_by():
    """Return what a report's last decimals, and its lines and letters, depend on."""
    fonts = sorted(path.name for path in Path("/usr/share/fonts").rglob("*.[ot]tf"))
    told = {"fonts": hashlib.sha256(" ".join(fonts).encode()).hexdigest()[:16], **versions(*DRAWN_BY)}
    return {**told, "cpu": machine()["cpu"], "flags": machine()["flags"]}


# --- data


@cache
def _written():
    """Let the program write its digits, once for this process."""
    from search import handwritten_digits

    place = tempfile.TemporaryDirectory()
    return place, handwritten_digits(Path(place.name) / "digits")


def digits(target, each, classes=10):
    """Make class folders of the program's digits, and warped ones beside them; return the folder.

    ``each`` says how many of a class. They are saved as BMP, which no version of a compressor changes.
    """
    _, source = _written()
    warped = source.with_name("digits-synthetic")
    beside = target.with_name(f"{target.name}-synthetic")
    lines = ["image,label,sources"]
    for label in range(classes):
        for path in sorted((source / str(label)).iterdir())[: each(label)]:
            name = f"{label}/{path.stem}.bmp"
            for origin, copy in ((source, target), (warped, beside)):
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                Image.open(origin / str(label) / path.name).save(copy / name)
            lines.append(f"{name},{label},{name}")
    (beside / "manifest.csv").write_text("\n".join(lines) + "\n")
    return target


def uneven(label):
    """Return how many digits of a class there are where weights are to matter: 5 to 7."""
    return 5 + label % 3


NAMES = ("zero", "<one>", "two|2", "drei", "4")  # of classes, as people may call them


def labelled(target):
    """Make five classes of digits with all that a data set should not have, and warped ones beside them.

    Each has 15 digits, the last 5; a "drei" lies among the "<one>", one "zero" twice and one brightened, one
    file is torn, one is no image.
    """
    _, source = _written()
    warped = source.with_name("digits-synthetic")
    beside = target.with_name(f"{target.name}-synthetic")
    lines = ["image,label,sources"]
    for label, name in enumerate(NAMES):
        (target / name).mkdir(parents=True)
        (beside / name).mkdir(parents=True)
        for path in sorted((source / str(label)).iterdir())[: 5 if label == 4 else 15]:
            for origin, copy in ((source, target), (warped, beside)):
                Image.open(origin / str(label) / path.name).save(copy / name / f"{path.stem}.bmp")
            lines.append(f"{name}/{path.stem}.bmp,{name},{name}/{path.stem}.bmp")
    (beside / "manifest.csv").write_text("\n".join(lines) + "\n")
    Image.open(sorted((source / "3").iterdir())[15]).save(target / "<one>" / "wrong.bmp")
    zero = min((target / "zero").iterdir())
    shutil.copy(zero, target / "zero" / "again.bmp")
    Image.open(zero).point(lambda value: min(255, value + 30)).save(target / "zero" / "bright.bmp")
    (target / "two|2" / "torn.bmp").write_bytes(b"BM no image")
    (target / "notes.txt").write_text("not an image\n")
    return target


def data_digest(folder):
    """Return a digest of the names and bytes of a data set and what lies beside it."""
    told = hashlib.sha256()
    for root in (folder, folder.with_name(f"{folder.name}-synthetic")):
        for path in sorted(path for path in root.rglob("*") if path.is_file()):
            told.update(f"{root.name}/{path.relative_to(root)} ".encode())
            told.update(hashlib.sha256(path.read_bytes()).digest())
    return told.hexdigest()


# --- commands


def _settings(place, **environment):
    """Return how a command is run: from this project, with two cores, and nothing of this machine's user."""

    def two_cores():
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell that runs tests in the background ignores it
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:SLOTS])

    own = {"PYTHONPATH": str(ROOT), "COLUMNS": "120", "XDG_CACHE_HOME": str(place / "home"), "TERM": "dumb"}
    own["KERAS_HOME"] = str(place / "keras")
    return {
        "cwd": place,
        "env": {**{name: value for name, value in os.environ.items() if name != "FORCE_COLOR"}, **own, **environment},
        "preexec_fn": two_cores,
        "text": True,
    }


def command(place, *arguments, code=0, **environment):
    """Run `python -m search` and return what it printed; it must end with ``code``."""
    line = [sys.executable, "-m", "search", *map(str, arguments)]
    done = subprocess.run(line, capture_output=True, check=False, timeout=PATIENCE, **_settings(place, **environment))
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def searches(place, *wanted, **environment):
    """Run searches, (space file, options of KFoldTuner) each, in one process, which loads TensorFlow once."""
    fixed = {"offline": True, "slots": SLOTS, "executor": "inline", "cache": "cache", "racing": False}
    told = json.dumps([[str(space), {**fixed, **options}] for space, options in wanted], default=str)
    line = [sys.executable, "-c", SEARCHES, told]
    done = subprocess.run(line, capture_output=True, check=False, timeout=PATIENCE, **_settings(place, **environment))
    assert done.returncode == 0, done.stdout + done.stderr


def until(place, journal, enough, *arguments):
    """Run `python -m search` until ``enough(events)`` of its journal, and kill it."""
    line = [sys.executable, "-m", "search", *map(str, arguments)]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **_settings(place))
    end = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < end and not (journal.exists() and enough(events(journal))):
        time.sleep(0.01)
    ended = process.poll()
    process.kill()
    printed, _ = process.communicate()
    assert ended is None, f"ended with {ended} too early:\n{printed}"


def run(name, *options, data="digits"):
    """Return the command line of the search of the space file ``name``.py: nothing downloaded, one thread a worker."""
    fixed = ("--name", name, "--data", data, "--offline", "--slots", SLOTS, "--cache", "cache")
    return ("run", f"{name}.py", *fixed, *options)


# --- results folders


def events(journal):
    """Return the whole lines of a journal, as JSON."""
    return [json.loads(line) for line in journal.read_bytes().split(b"\n")[:-1]]


def of_kind(journal, *kinds):
    """Return the events of these kinds."""
    return [event for event in events(journal) if event["event"] in kinds]


def stored(folder):
    """Return the out-of-fold probabilities and curves of a search by "trial/fold/name"."""
    arrays = {}
    for event in of_kind(folder / "journal.jsonl", "job"):
        with np.load(folder / event["file"], allow_pickle=False) as file:
            for name in file.files:
                if name.rsplit("/", 1)[1] in {"probabilities", "curve", "validation"}:
                    arrays[f"{event['trial']}/{name}"] = file[name].astype(np.float32)
    return arrays


def outcome(journal):
    """Return what a search came to: recipes, verdicts and scores, without seconds, files and sessions."""
    trials = [
        {key: event[key] for key in ("trial", "values", "recipe", "baseline") if key in event}
        for event in of_kind(journal, "trial")
    ]
    verdicts = [{k: event[k] for k in ("trial", "status", "score", "reason")} for event in of_kind(journal, "verdict")]
    runs = {}
    for event in of_kind(journal, "job", "holdout"):
        for one in event.get("runs", [event.get("run")]):
            runs[f"{event['trial']}/{one['fold']}"] = {"scores": one["scores"], "synthetic": one["synthetic"]}
    failures = [{k: event[k] for k in ("trial", "job", "error")} for event in of_kind(journal, "failure")]
    ended = [event["reason"] for event in of_kind(journal, "end")][-1:]
    return {"trials": trials, "verdicts": verdicts, "runs": runs, "failures": failures, "ended": ended}


def placeless(text, place):
    """Return a text without the folder in which it was made."""
    return text.replace(str(place.resolve()), "/frozen").replace(str(place), "/frozen")


# --- comparing


def alike(one, other, within):
    """Return whether two texts have the same words, and numbers that differ by no more than ``within``."""
    if NUMBER.sub("#", one) != NUMBER.sub("#", other):
        return False
    pairs = zip(NUMBER.findall(one), NUMBER.findall(other), strict=True)
    return all(a == b or abs(float(a) - float(b)) <= within * max(1.0, abs(float(a))) for a, b in pairs)


def first_difference(one, other):
    """Return the first two lines that differ, for people."""
    pairs = itertools.zip_longest(one.splitlines(), other.splitlines(), fillvalue="(no such line)")
    for number, (was, now) in enumerate(pairs, start=1):
        if was != now:
            at = next((i for i, (a, b) in enumerate(zip(was, now, strict=False)) if a != b), min(len(was), len(now)))
            start = max(0, at - 80)
            return f"line {number}, column {at + 1}:\n  was …{was[start : at + 120]}\n  now …{now[start : at + 120]}"
    return ""


def text_of(value):
    """Return a value as JSON that people can compare."""
    return json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


# --- what is observed: made once by `frozen/freeze.py`, and again by every test


def space_file(place, *names):
    """Copy space files to where their commands run."""
    for name in names:
        shutil.copy(next(f for f in (SPACES / f"{name}.py", ROOT / "spaces" / f"{name}.py") if f.exists()), place)


def lay_out(place, folder):
    """Copy a frozen results folder to where a command finds it, with the paths of this place."""
    target = place / "results" / folder.name
    shutil.copytree(folder, target)
    study = target / "study.json"
    study.write_text(study.read_text().replace("/frozen", str(place.resolve())))
    return target


def identities(place):
    """Return what both shipped spaces begin with: study.json, tables, the first proposal; data, and by space."""
    digits(place / "digits", uneven)
    found = {"data": data_digest(place / "digits")}
    space_file(place, "finetune", "pretraining")
    for name in ("finetune", "pretraining"):
        folder = place / "results" / name
        journal = folder / "journal.jsonl"
        until(place, journal, lambda told: any(event["event"] == "trial" for event in told), *run(name, *UNHURRIED))
        found[name] = {
            "about": json.loads(placeless((folder / "study.json").read_text(), place)),
            "tables": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.csv")},
            "first": next({key: event[key] for key in ("values", "recipe")} for event in of_kind(journal, "trial")),
        }
    return found


UNHURRIED = ("--no-baselines", "--executor", "inline")


def training(place):
    """Return the arrays of the search `runs`, and what each oracle proposed in `proposals` with its scores."""
    digits(place / "digits", uneven)
    space_file(place, "runs", "proposals")
    wanted = [("runs.py", {"name": "runs", "data": "digits"})]
    wanted += [("proposals.py", {"name": oracle, "data": "digits", "oracle": oracle}) for oracle in ORACLES]
    searches(place, *wanted)
    proposed = {}
    for oracle in ORACLES:
        journal = place / "results" / oracle / "journal.jsonl"
        scores = {event["trial"]: event["score"] for event in of_kind(journal, "verdict")}
        proposed[oracle] = [[event["values"], scores[event["trial"]]] for event in of_kind(journal, "trial")]
    return stored(place / "results" / "runs"), proposed


ORACLES = ("tpe", "random", "bayesian")  # the others' order is that of the grid


def photographs(place):
    """Return the arrays of the search `photographs`: real weights, real photographs."""
    space_file(place, "photographs")
    data, keras = SHARED / "data" / "tiny_flowers3", SHARED / "keras"
    searches(place, ("photographs.py", {"name": "photographs", "data": data}), KERAS_HOME=str(keras))
    return stored(place / "results" / "photographs")


BEGUN = ("begun", "--confirm", 1)


def report(place):
    """Return the report of the finished search as texts without Vega, its pictures as digests, what terminals show."""
    labelled(place / "labelled")
    folder = lay_out(place, FROZEN / "finished") / "report"
    terminal = {name: placeless(command(place, *words), place) for name, words in TERMINAL.items()}
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.iterdir()) if path.is_file()}
    texts["index.html"] = SCRIPT.sub(lambda it: "Vega" if len(it[1]) > VEGA else it[0], texts["index.html"])
    texts = {name: WRITTEN_WITH.sub("Python, pandas", placeless(text, place)) for name, text in texts.items()}
    pictures = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.png"))
    }
    return texts, pictures, terminal


TERMINAL = {
    "report": ("report", "finished"),
    "watch": ("watch", "finished"),
    "compare": ("compare", "finished", "best", "b0"),
    "compare-json": ("compare", "finished", "0001", "0005", "--json"),
}
SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
VEGA = 200_000  # characters: a longer script is Vega's
WRITTEN_WITH = re.compile(r"Python [\d.]+, pandas [\d.]+")


def helps(place):
    """Return what `--help` prints, of all verbs and of each."""
    whole = command(place, "--help")
    verbs = re.findall(r"^  ([\w-]+) ", whole.split("Commands:")[1], re.MULTILINE)
    return {"search": whole, **{verb: command(place, verb, "--help") for verb in verbs}}
