"""Pages to look at a run: one file to keep and pass on, or served live while the run works.

Both are the same page over the same rows and figures; only how these arrive differs.
"""
