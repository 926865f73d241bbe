# Two sentences in one, and a failure with its cause.
and = { $what }; { $more }
because = { $what }: { $why }
nothing-done = nothing was done
and-nothing-done = { $what }; nothing was done
add-hint = to write it as a note: suibi add { $words }
