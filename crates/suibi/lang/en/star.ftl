# What was done with a note, before its time and its receipt.
starred = starred
unstarred = unstarred
has-star = note { $name } has a star already
has-none = note { $name } has no star
two-versions = note { $name } has two versions; nothing was written
two-versions-hint = settle it first: suibi edit { $name }
