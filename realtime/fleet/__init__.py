"""Many cameras on many machines: where each is watched, and what happens when a machine is lost or too slow."""
