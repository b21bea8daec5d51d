"""User code that does not parse, which only running it shows."""

exec("def f(:")
