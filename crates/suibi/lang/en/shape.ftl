write-hint = to write it as a note: suibi -- { $words }
help-hint = suibi { $command } --help says more; to write it as a note: suibi add { $words }
among-words = `{ $name }` stands among the words of the note; nothing was written
among-words-hint = options come first: suibi { $name } … TEXT; to write it down: { $way } -- { $words }
reserved = `{ $word }` is kept for a command to come; nothing was written
does-not-fit = `{ $word }` is a command, and "{ $rest }" does not fit it; nothing was done
