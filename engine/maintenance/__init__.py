"""Services that look after the store while runs go on."""
