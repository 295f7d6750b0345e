"""Any web address."""
