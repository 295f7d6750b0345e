"""Forms: one editor per type of field, built from what the step says about itself."""
