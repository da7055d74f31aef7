"""lossprint: the print that each metric-learning loss leaves on what a network learns."""
