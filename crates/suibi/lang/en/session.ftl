admin-hint = do it on the machine where the server runs, or on a device with the right `admin`
a-drop = this device is a drop: it shows what was written here, and nothing else
notes-wait = { $notes ->
    [one] { $notes } note waits for the server
   *[other] { $notes } notes wait for the server
}
no-answer = the server did not answer; this is what is kept here
no-news = no news from the server: { $why }
not-taken = the server does not take it: { $why }
note-cannot-be-kept = the note cannot be kept; nothing was written
receipt-hint = it is the end of the line that confirmed the note: suibi verify 1284
nothing-written = { $what }; nothing was written
device-name = this device cannot have that name
device-name-hint = choose another one: suibi config set device NAME
membership-unknown = what this machine has joined cannot be told
membership-hint = nothing was written; suibi join --again LINE joins anew
revoked-hint = what you wrote is kept on this device; with a new invite it goes along: suibi join --again LINE
rights-hint = another invite can allow it: suibi invite --rights read,write on the server
unanswered = the server does not answer
unanswered-hint = what you wrote is kept on this device; suibi devices on the server shows whether it knows this one
out-of-reach = the server is out of reach
out-of-reach-hint = what you wrote is kept on this device; suibi status shows where the server should be
no-server-here = no server on this machine
kept-hint = what you wrote is kept on this device
store-unusable = the notes kept on this device cannot be used
full-hint = make room on the disk and try again
read-only-hint = suibi needs to write there; --data-dir names another directory
damaged-hint = suibi sync puts a damaged file aside, makes a new one from the server, and keeps what waits
newer-hint = another suibi on this machine is newer; use that one
busy-hint = another suibi is busy with the same files; try again
files-hint = suibi status names the files
