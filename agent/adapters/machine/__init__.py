"""The machine: what it is, what it holds, how it fares. Read, never changed."""
