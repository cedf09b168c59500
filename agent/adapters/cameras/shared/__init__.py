"""One camera for several pipelines: a ring of frames in memory, its writer, and a camera that reads it.

Nothing is imported here: the supervisor makes the memory, and has no numpy.
"""
