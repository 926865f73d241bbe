limit-of-none = no notes at all is nothing to ask for; N is 1 or more
limit-no-number = N is a whole number, 1 or more
none-match = no notes match
none-yet = no notes yet — write one: suibi had a good idea
none-today = nothing yet today — write one: suibi had a good idea
none-on = no notes on { $day }
