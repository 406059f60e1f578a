"""X.509 certificates of a small site: made, read and checked. No network, no secrets in answers."""
