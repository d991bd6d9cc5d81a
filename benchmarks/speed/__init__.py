"""Speed as ratios in one run: ours against bare loops, against the peers' own packages, and against an older commit."""
