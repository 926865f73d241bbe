limit-of-none = 一条也不要就不用查了；N 至少是 1
limit-no-number = N 应为正整数
none-match = 没有符合条件的随笔
none-yet = 还没有随笔——写一条吧：suibi 今天有个好主意
none-today = 今天还没有随笔——写一条吧：suibi 今天有个好主意
none-on = { $day } 没有随笔
