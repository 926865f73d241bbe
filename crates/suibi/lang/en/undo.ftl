nothing-done = nothing was done on this device yet
erased = note { $name } was erased for good; nothing is left to take back
changed-since = note { $name } was changed by another device since; nothing was taken back
changed-since-hint = see what it says now: suibi show { $name }; each change: suibi history { $name }
# What was taken back, before the note's time and its receipt.
written = undone: written
edited = undone: edited
starred = undone: starred
unstarred = undone: unstarred
deleted = undone: deleted
restored = undone: restored
# What that means for the note, and what can be done about it.
now-deleted = it is deleted now; to take this back as well: suibi undo
now-there = it is there again; to take this back as well: suibi undo
now-says = it says this again; to take this back as well: suibi undo
again = to take this back as well: suibi undo
more = … and { $notes } more
