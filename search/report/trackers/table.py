"""The trackers that ``report`` can write a search to, a row each."""

from search.report.trackers.mlflow import MLFLOW
from search.report.trackers.optuna import OPTUNA
from search.report.trackers.tracker import Tracker

TRACKERS: dict[str, Tracker] = {row.name: row for row in (OPTUNA, MLFLOW)}
