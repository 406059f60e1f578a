"""The association engine: the listener, negotiation, and the messages of DIMSE."""
