time-twice = the time is said twice
no-tag = `{ $words }` is no tag
