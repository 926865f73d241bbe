earlier-text = a text of this note that was not written is in { $file }
no-text = no text, and no terminal for an editor; nothing was done
no-text-hint = from standard input: suibi edit NOTE -
was-erased = note { $name } was erased for good
was-erased-hint = write a new note: suibi TEXT
is-deleted = note { $name } is deleted; nothing was written
is-deleted-hint = bring it back first: suibi restore { $name }
empty = the text is empty; nothing was written
empty-hint = to delete the note: suibi rm { $name }
your-text-is-in = your text is in { $file }
same = the text is the same; nothing was written
same-conflict = the text is the same; nothing was written; it has two versions still, and a changed text settles that
changed-hint =
    your text is kept in { $file }; see what the note says now: suibi show { $name }
          to write yours all the same: suibi edit { $name } - < { $path }
who-changed = { " " }({ $deed } { $when } on { $device })
changed-meanwhile = note { $name } was changed meanwhile{ $who }; nothing was written
changed-meanwhile-hint = see what it says now: suibi show { $name }
your-text-is-kept = your text is kept in { $file }
name-an-editor = name one: EDITOR=nano suibi edit …, or suibi edit NOTE TEXT
no-editor = no editor was found; nothing was done
editor-cannot-run = the editor cannot be run; nothing was written
editor-ended-badly = the editor ended badly ({ $status }); nothing was written
without-editor = without an editor: suibi edit NOTE TEXT
nowhere-to-keep = no text can be kept in { $dir }
full-of-texts = { $dir } is full of earlier texts
set-editor = EDITOR names one: EDITOR=nano
editor-failed = the editor ended badly ({ $status })
