"""What tests share: the places of the checkout here, helpers in modules of their own. No test imports another test."""

from pathlib import Path

SUPPORT = Path(__file__).parent
ROOT = SUPPORT.parent.parent
DOCS = ROOT / "docs"
LEADERBOARD = ROOT / "leaderboard"
RECORDS = LEADERBOARD / "records"
BENCHMARKS = ROOT / "benchmarks"
