"""What a connector may know: specs, the contract, the catalog."""
