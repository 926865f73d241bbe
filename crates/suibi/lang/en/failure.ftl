# What stands before an error, before what caused it, and before what to try next.
error = error:
cause = caused by:
hint = hint:
cannot-read-or-write = cannot read or write
