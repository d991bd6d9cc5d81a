"""A metric in a module of its own."""

from benchbias import Predictions, hookimpl


def error_rate(predictions: Predictions) -> float:
    """The share of test examples that are classified wrongly."""
    return 1 - float(predictions.correct.double().mean())


@hookimpl
def benchbias_metrics():
    return {"error_rate": error_rate}
