time-twice = 时间写了两次
no-tag = `{ $words }` 不是标签
