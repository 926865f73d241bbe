receipt-form = a receipt looks like 1284 or 3f9ac1
here = here: { $changes } in { $chains }, { $notes }
here-purged = { $here }, { $purged } erased for good
here-right = { $what }; every hash and link is right
server = server: { $changes } in { $chains }
server-again = server: { $changes } in { $chains } read again
server-same = { $what }; both have the same
server-right = { $what }; all are right, and here as well
wait = { $changes ->
    [one] { $changes } change waits for the server: that is no gap, suibi sync takes it there
   *[other] { $changes } changes wait for the server: that is no gap, suibi sync takes it there
}
with-server = with the server as well: suibi verify --server
problems = { $what }; { $problems }
more = … and { $count } more: suibi verify --json
only-counted = … and { $count } that are only counted
erased = erased for good
place = change { $seq } of { $device }
on-server = { $receipt } is on the server
on-server-moved = { $receipt } is on the server, at #{ $position } now: it was put back to an older state once
not-here-yet = it is not on this device yet: suibi sync
only-here = { $receipt } is on this device, and not on the server
only-here-hint = suibi sync takes it there again
nowhere = no change with the receipt { $receipt }, neither here nor on the server
nowhere-hint = another device may have it: suibi sync there; so may a backup
here-not-asked = { $receipt } is on this device; the server could not be asked: { $why }
not-here-not-asked = { $receipt } is not on this device; the server could not be asked: { $why }
status-hint = suibi status shows where the server should be
