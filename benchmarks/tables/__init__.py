"""The tables, a module each: what `benchmarks.table.Table` says of one."""
