years-ago = { $years } 年前
months-ago = { $months } 个月前
weeks-ago = { $weeks } 周前
none-then = 往年的 { $day } 没有随笔
none-earlier = 和 { $day } 对应的那些日子没有随笔
