"""The bytes: kept as received, under random names, durable before anyone is told."""
