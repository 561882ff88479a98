"""Features in, features out: these know no probability."""
