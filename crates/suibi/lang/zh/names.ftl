takes-one = { $command } 一次只接受一条随笔，什么也没有做
none-yet = 还没有随笔
write-one = 写一条吧：suibi 今天有个好主意
missing = 这里没有叫 { $name } 的随笔，什么也没有做
missing-hint = suibi search WORDS 可以查找随笔；suibi log --json 列出每条的回执和编号
ambiguous = { $name } 可能指 { $count } 条随笔中的任何一条，什么也没有做
ambiguous-hint =
    请用编号或更多位数指明：
    { $notes }
more = ……还有 { $count } 条
number-is = { $number } 是 { $time } { $text }
