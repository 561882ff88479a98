"""A bundle's graphs in other runtimes, compared with its golden answers."""
