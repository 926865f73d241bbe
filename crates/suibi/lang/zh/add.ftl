not-utf8 = 内容不是 UTF-8（第 { $at } 个字节有误），没有写入
recode = 内容必须是 UTF-8；其他编码可以先转换：iconv -f GB18030 -t UTF-8
nothing-to-write = 没有要写的内容
nothing-to-write-hint = suibi 今天有个好主意
too-long = 一条随笔最多 { $most } 字节（1 MiB），这条有 { $has } 字节，没有写入
line-refused = 第 { $number } 行：{ $why }
nothing-came-in = 没有读到内容，什么也没有写入
