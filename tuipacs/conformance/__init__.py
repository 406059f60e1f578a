"""The DICOM conformance statement (PS3.2), from the settings and from what the code answers."""
