"""Methods: trainers and pruners."""
