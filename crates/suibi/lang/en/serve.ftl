first-for-others = a new server: to let your first device in, in another terminal: suibi invite
first-for-this = a new server, for this machine only; for others: suibi serve --listen :5683
plain = --plain { $text }: `{ $part }`: { $why }
plain-hint = options are reply=auto|always|never, words=course|compat, max=BYTES, anyone
no-option = there is no such option

# What a listener is for; the first two words of the line stay in every language, since programs read them.
