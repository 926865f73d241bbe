erased-before = note { $name } was erased for good before
deleted-before = note { $name } was deleted before
bring-back = to bring it back: suibi restore { $name }
nothing-left = note { $name } was erased for good: nothing is left to restore
backup-hint = a backup from before it was erased may have it
not-deleted = note { $name } is not deleted
