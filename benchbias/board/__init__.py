"""Records -> leaderboard, comparisons, claims."""
