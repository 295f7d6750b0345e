"""What connectors lean on at run time: the way out to the network, signing in, loading."""
