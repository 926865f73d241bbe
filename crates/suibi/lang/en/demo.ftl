no-random = the system has no random bytes
title = One server, two devices, and a network that loses { $loss } of 100 datagrams.
real = All of it is real and on this machine: processes, files, keys, UDP.
label-server = server
label-network = network
label-devices = devices
about-server = process { $id } at { $address }, encrypted, for invited devices
about-network = { $address }, loses { $loss } % each way; somebody reads all of it
about-devices = { $first } and { $second }, with a journal and an invite each
no-join = { $name } could not join in time over so bad a network
try-again = try again, or with --loss 20
again = , { $attempts } attempts with one line

# What somebody does: a verb in a column, then what.
joins = joins
joins-what = has keys of its own now,
after = after { $time }
writes = writes
killed = killed
killed-what = kill -9 { $id }, in the middle of its work
back = is back
back-what = process { $id }, same files
has-it = has it
has-it-what = { $receipt }, on disk,
confirmed = confirmed after { $time }
sees = sees
offline = no server answers; notes are kept here
not-all = not everything is in place after { $time }
not-all-hint = with so many lost datagrams it may take longer; try again, or with --loss 20
exactly-once = Every note is there exactly once.
took = It took { $time }.
yours-next = Yours next:
opens = opens the prompt,
keeps = keeps a line.
idea = suibi had a good idea

# The proof.
proof = The proof, from the files
receipts = receipts
chains = chains
secrecy = secrecy
each-once = { $written } written, { $there } there, each once
not-once = { $written } written, { $there } there, { $missing } missing, { $doubled } more than once
receipts-kept = { $receipts } given, each one names a change that is on disk
receipts-broken = { $receipts } given, { $broken } of them not kept
chains-right = { $chains } chains of { $changes } changes, every hash checked
overheard-nothing = { $datagrams } datagrams overheard, no note to be read in any
overheard = { $datagrams } datagrams overheard, notes in { $readable } of them
network = { $times ->
    [one] { $carried } datagrams arrived, { $dropped } were lost; the server was killed once
   *[other] { $carried } datagrams arrived, { $dropped } were lost; the server was killed { $times } times
}
feed-broken = the server's feed is not whole
feed-hash = the feed's running hash does not match its changes
no-start = the demo's server does not start: { $said }
no-invite = the demo's server makes no invite
