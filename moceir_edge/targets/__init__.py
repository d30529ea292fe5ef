"""Targets: what writes a program for a runtime, and runs it there. One module each, behind one seam."""
