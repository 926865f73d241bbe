no-terminal = the terminal cannot be read
earlier = earlier notes: /log
helps = ? helps, Ctrl-D leaves.
leave = (Ctrl-C again leaves)
leave-or-back = (the up arrow brings the line back; Ctrl-C again leaves)
nothing-today = nothing yet today
none-yet = no notes yet
unknown = there is no /{ $word }, nothing was kept; ? helps. As a note: //{ $word } …
still-here = { $notes ->
    [one] { $notes } of your notes is kept here and not yet on the server; any suibi command takes it there.
   *[other] { $notes } of your notes are kept here and not yet on the server; any suibi command takes them there.
}

# What is wrong with a command.
search-words = /search needs words, as in /search milk
on-day = /on needs a day, as in /on yesterday or /on 11-23
alone = that command stands alone on its line
help =
      Each line is a note. Tags are #tag and @tag.
    
      /today            today's notes            ?  h   this help
      /on WHEN          one day's notes          r      all notes
      /search WORDS     notes with these words   s      exchange notes now
      /log [N]          all notes, or newest N   q      leave
                        each takes #tag, --not WORD, --since WHEN, -n N …
      /undo             take back the last thing
      /rm N  /show N    the note numbered N in the last listing; so /restore N,
      /star N           /unstar N
      /sync             exchange notes now       Ctrl-C clears the line
      /status           where the notes are      Ctrl-D leaves
      //text            a note that begins with /
# What happens while somebody types.
not-taken = the server does not take a note: { $why }
online = the server answers again
offline = the server does not answer; notes are kept here until it does
cut-off = notes are kept here; with a new invite they go along: suibi join --again LINE
more-arrived = { $notes } more notes arrived; /log shows all
which-note = which note? its number in the last listing, as in /rm 3, or last
