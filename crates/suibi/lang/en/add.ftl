not-utf8 = this is not UTF-8 (byte { $at } is wrong); it was not written
recode = text has to be UTF-8; what is in another encoding can be converted: iconv -f GB18030 -t UTF-8
nothing-to-write = there is nothing to write down
# A command to paste.
nothing-to-write-hint = suibi had a good idea
too-long = a note has at most { $most } bytes (1 MiB), this one has { $has }; nothing was written
line-refused = line { $number }: { $why }
nothing-came-in = nothing came in, nothing was written
