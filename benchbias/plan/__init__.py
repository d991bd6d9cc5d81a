"""A suite -> trials and stages with their keys."""
