"""Pages and components of the studio."""
