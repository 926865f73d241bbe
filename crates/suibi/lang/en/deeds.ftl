written = written
edited = edited
deleted = deleted
restored = restored
erased = erased
purged = purged
changed = changed
