"""The facade: one Studio bound to one actor."""
