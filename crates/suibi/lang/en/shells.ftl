name-no-good = a name has letters, digits, - and _, and begins with a letter
not-for-you = this is for your shell, not for you; put this line into { $file }: { $line }
zshrc = ~/.zshrc, after compinit
