"""The web front: who is answered by what, and who may come in."""
