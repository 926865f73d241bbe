# What stands before each line, in a column of eight.
server = server
journal = journal
notes = notes
device = device
others = others
repaired = repaired
replica = replica

# The lines.
not-encrypted = not encrypted
named-not-encrypted = { $named }, not encrypted
greeting = Journal { $journal } on { $address }, encrypted.
greeting-limits = Journal { $journal } on { $address }, encrypted. This device may { $may }.
greeting-own = This machine is its own server. For other devices, too: suibi serve
this-machine-itself = this machine itself, { $address }
this-machine-other = this machine, in another suibi, { $address }
not-found = not found
encrypted = , encrypted
answers = answers
within = { " " }in { $time }
over = { " " }over { $transport }
feed = , feed at #{ $position }
this-device-may = { $journal }: this device may { $may }
all-on-server = { $notes }, all on the server
count = { $notes },
not-yet = { $notes } not yet on the server
read-nothing = , has read nothing yet: suibi sync
read-up-to = , has read up to #{ $position }: suibi sync
has-read-up-to = , has read up to #{ $position }
never-answered = it has never answered
answered-just-now = it answered less than a minute ago
answered-ago = it answered last { $ago } ago ({ $when })
changes = { $count ->
    [one] change{ " " }
   *[other] changes
}
last-note = , last note { $when }
more = … and { $count } more: --json
