"""The command line: the same services, roles and audit as the screens; one file per command."""
