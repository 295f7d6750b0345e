"""What things are and the rules about them, in plain Python."""
