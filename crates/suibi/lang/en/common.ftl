# Two sentences in one, and a failure with its cause.
and = { $what }; { $more }
because = { $what }: { $why }
nothing-done = nothing was done
and-nothing-done = { $what }; nothing was done
add-hint = to write it as a note: suibi add { $words }

# Between the parts of a list.
comma = { ", " }

# Numbers of things.
changes = { $count ->
    [one] { $count } change
   *[other] { $count } changes
}
chains = { $count ->
    [one] { $count } chain
   *[other] { $count } chains
}
notes = { $count ->
    [one] { $count } note
   *[other] { $count } notes
}
problems = { $count ->
    [one] { $count } problem
   *[other] { $count } problems
}
