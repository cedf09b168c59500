"""An order to convert, carried out and held against the float parent."""
