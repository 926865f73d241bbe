asking = asking { $place } …
not-exchanged = the notes could not be exchanged yet; suibi sync does it
paste = Paste the line
paste-which = that `suibi invite` printed on the server, then Enter:
no-line = no line came in; nothing was done
no-line-hint = `suibi invite` on the server prints one: suibi join LINE, or suibi join and paste it
joined = joined { $address } as
encrypted = , encrypted
journal = journal { $journal }: this device may { $may }
go-along = { $notes ->
    [one] { $notes } note written here before goes along
   *[other] { $notes } notes written here before go along
}
stay = { $notes ->
    [one] { $notes } note written here before stays on this machine: it may only read there
   *[other] { $notes } notes written here before stay on this machine: it may only read there
}
left-behind = { $notes ->
    [one] { $notes } note of the server that was left had not been delivered; it stays in { $dir }
   *[other] { $notes } notes of the server that was left had not been delivered; they stay in { $dir }
}
clock-behind = this machine's clock ({ $here }) is { $how } behind the server's: new notes would be dated by it
clock-ahead = this machine's clock ({ $here }) is { $how } ahead of the server's: new notes would be dated by it
clock-hint = set the clock of whichever is wrong, for example: timedatectl set-ntp true
setting-first = the setting `server` ({ $value }, from { $origin }) goes before what was joined, and is not encrypted
was-taken = «{ $wanted }» was taken: this device is «{ $name }» there
other-name = the server calls it «{ $name }», not «{ $wanted }»
copy-again = copy all of it once more, from suibi:// to its last character
no-invite = that is no line of an invite; nothing was done
no-invite-hint = the line begins with suibi:// and is printed by `suibi invite` on the server
cut-off = the line is cut off: its end is missing; nothing was done
mistyped = the line has a slip in it: a character is wrong, missing or too many; nothing was done
newer = the line was made by a newer suibi than this one; nothing was done
newer-hint = update suibi on this machine, then join with the same line
full-hint = nothing was lost; make room on the disk, then join with the same line again
