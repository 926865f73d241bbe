erased-before = note { $name } was erased for good before
not-here-yet = erased on the server, and not on this device yet ({ $why }): suibi sync does it
erased =
    note { $name } is erased for good, on the server and here
      other devices erase it at their next contact
nobody = nothing was erased: nobody can be asked here
nobody-hint = say that it is meant: suibi purge --yes { $name }
warning = { $revisions ->
    [one] Its text goes from the server and from this device now, from every other device at its next contact, and cannot be brought back. Backups, exports and what somebody copied stay as they are. To hide a note and keep it: suibi rm { $name }
   *[other] Its { $revisions } revisions go from the server and from this device now, from every other device at its next contact, and cannot be brought back. Backups, exports and what somebody copied stay as they are. To hide a note and keep it: suibi rm { $name }
}
question = Erase it for good? [y/N]
not-allowed = the server does not let this device erase notes
did-not = the server did not erase it
not-known = the server does not answer; it is not known to be erased
not-known-hint = try again when it answers: suibi status
