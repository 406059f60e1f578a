"""Being called: a file for each DIMSE service, from a request to a guarded service and a status."""
