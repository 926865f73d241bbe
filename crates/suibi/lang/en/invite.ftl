until = until { $when }
how-long = how long? for example 90s, 15m, 2h or 7d
how-long-range = an invite lasts from 1m to 7d

# What the card says.
elsewhere = The line is on standard output. On the other device:
alone = Copy the line below. On the other device:
with-code = Scan the code, or copy the line below. On the other device:
too-small = For a QR code this terminal is too small: { $width }x{ $height }, it takes { $columns }x{ $rows }.
new-journal = { $journal }, a new one
label-journal = journal
label-device = device
label-may = may
label-valid = valid
label-server = server
once = once, { $until } ({ $lasts })
only-this-machine = Only this machine finds it there.
forwarding = The server listens on loopback only: something has to carry datagrams from { $host } to it.
own-address = That is this machine's own address.
own-address-near = That is this machine's own address, good inside its network.
listens-near = That is where the server listens, good inside its network.
another = Another one: --host NAME

# What is wrong with --host.
host = --host `{ $host }`: { $why }
host-hint = HOST or HOST:PORT, as in notes.example.org:5683 or [2001:db8::1]:5683
no-port = `{ $port }` is no port; ports are numbers from 1 to 65535
no-host = that is no name of a host
