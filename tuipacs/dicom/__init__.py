"""Datasets and pixels: Part 10, indexed attributes, character sets, elements, documents."""
