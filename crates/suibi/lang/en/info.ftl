notes = notes
since = since
size = size
devices = devices
server = server
data = data
settings = settings
notes-are = { $notes } on { $days ->
    [one] { $days } day
   *[other] { $days } days
}
notes-wait = { $notes } on { $days ->
    [one] { $days } day
   *[other] { $days } days
}, { $waiting } not yet on the server
here = this machine
