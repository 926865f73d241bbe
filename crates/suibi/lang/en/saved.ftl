# What was done with a note, before its time and its receipt.
saved = saved
edited = edited
settled = settled
deleted = deleted
restored = restored
# The same where only this device knows it; `saved` is `kept` then.
kept = kept
# Where the time was said with the note; its date and time follow `saved-for`.
saved-for = saved for { $day }
kept-for = kept for { $day } { $time }
here = { $deed } here, not yet on the server
waiting = ({ $notes } waiting)
several-saved = { $notes ->
    [one] { $notes } note saved
   *[other] { $notes } notes saved
}
several-kept = { $notes ->
    [one] { $notes } note kept here, not yet on the server
   *[other] { $notes } notes kept here, not yet on the server
}
delivered = { $notes ->
    [one] { $notes } waiting note reached the server
   *[other] { $notes } waiting notes reached the server
}
