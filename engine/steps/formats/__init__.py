"""Files and texts as items and back: one module per format, all of them streaming where the format allows it."""
