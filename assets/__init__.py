"""Files that ship with Treadle: styles, icons, starter workflows."""
