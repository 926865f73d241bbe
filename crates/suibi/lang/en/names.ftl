takes-one = { $command } takes one note; nothing was done
none-yet = there is no note yet
write-one = write one: suibi had a good idea
missing = no note here is called { $name }; nothing was done
missing-hint = suibi search WORDS finds notes; suibi log --json tells each one's receipt and id
ambiguous = { $name } may be any of { $count } notes; nothing was done
ambiguous-hint =
    say which by its id, or by more digits:
    { $notes }
more = … and { $count } more
# Which note a short number of the last listing means.
number-is = { $number } is { $time } { $text }
