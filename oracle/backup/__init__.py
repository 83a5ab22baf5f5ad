"""Copies of the record: made while runs go on, kept by age, and brought back with proof."""
