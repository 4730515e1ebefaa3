"""Work on many machines, on Ray."""
