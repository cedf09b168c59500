"""libedgetpu: its devices, its delegate, and what the host shows of the hardware.

The library aborts its process on a fault of the hardware, and crashes it where it was built for another
runtime. So `library` and `delegate` are for child processes; `host` and `process` are for the supervisor.
"""
