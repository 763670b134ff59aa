"""One file per command, by its RFC name; ``table`` lists them."""
