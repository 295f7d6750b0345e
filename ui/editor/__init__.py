"""The editor: one workflow, drawn, configured and tried."""
