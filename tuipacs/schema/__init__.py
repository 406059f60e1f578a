"""The control API as data: requests, answers and operations that daemon and clients share."""
