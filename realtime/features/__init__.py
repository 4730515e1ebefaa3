"""Features of videos, for other programs to learn from: one row of numbers for each stretch of a video."""
