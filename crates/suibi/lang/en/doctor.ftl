# What is looked at: the words at the beginning of the lines.
program = suibi
system = system
time = time
language = language
terminal = terminal
settings = settings
data = data
notes = notes
index = index
server = server
clock = clock
repairs = repaired
# What was found.
program-is = { $version }, protocol 1, { $architecture }
zone-unknown = { $now }, no time zone is set
zone-unknown-hint = times are kept as UTC; set TZ, or link /etc/localtime
language-is = { $language } (locale { $locale })
language-not-utf8 = { $language }; the locale { $locale } is not UTF-8
language-not-utf8-hint = a note is UTF-8; with LANG=C.UTF-8, say, the terminal and programs around suibi know
english = English
chinese = Chinese
terminal-is = { $name }, { $columns } columns, { $rows } rows
terminal-none = none, the output goes elsewhere
terminal-narrow-hint = from 40 columns on everything is told in full
settings-none = none, and no file at { $path }
settings-are = { $list }
settings-stranger = `{ $name }` in { $path } is no setting
settings-stranger-hint = suibi config list shows those that there are
data-is = { $path }, permissions { $mode }, { $free } free
data-none = { $path } is not there yet; the first note makes it
data-open = others on this machine may look into { $path } (permissions { $mode })
data-open-hint = chmod { $mode } { $path }
data-fixed = { $path } cannot be written to
data-fixed-hint = it has to belong to you; --data-dir names another one
data-full = { $path } has only { $free } left
data-full-hint = make room on that disk: a note that does not fit is refused
notes-are = { $notes ->
    [one] { $notes } note
   *[other] { $notes } notes
}, { $size } on disk, all on the server
notes-wait = { $notes ->
    [one] { $notes } note
   *[other] { $notes } notes
}, { $size } on disk; { $waiting } not yet on the server
notes-wait-hint = suibi sync delivers them and says what is in the way
notes-whole-hint = suibi verify reads and checks everything
index-is = up to date
index-behind = { $changes } changes are not in it yet; searches look through them one by one
here = this machine is its own server
server-answers = { $server }: answers in { $time } over { $way }, { $protection }
server-silent = { $server }: { $why }
server-silent-last = { $server }: { $why }; it answered last { $last }
server-silent-hint = what you write is kept here; is the server running, and does this network let UDP and TCP to its port through?
encrypted = encrypted
not-encrypted = not encrypted
not-encrypted-hint = suibi join makes this machine a device of that server, and the way there encrypted
datagrams-lost = datagrams (UDP) get no answer from { $address }, a stream (TCP) does
datagrams-lost-hint = it works, and takes longer; a firewall on the way may let UDP through
streams-lost = { $address } takes no stream (TCP), datagrams (UDP) pass
streams-lost-hint = it works; long notes and first syncs are faster where TCP passes too
ways-open = UDP and TCP pass to { $address }
clock-fits = less than a minute from the server's
clock-ahead = { $time } ahead of the server's
clock-behind = { $time } behind the server's
clock-hint = notes keep the time of the device that wrote them; let the system set its clock (timedatectl set-ntp true)
summary-well = nothing is wrong
summary-warned = it works; what has a hint is worth a look
summary-wrong = something is wrong: see the hints
