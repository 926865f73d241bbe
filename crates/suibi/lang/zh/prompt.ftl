no-terminal = 无法读取终端
earlier = 更早的随笔：/log
helps = ? 显示帮助，Ctrl-D 离开。
leave = （再按一次 Ctrl-C 离开）
leave-or-back = （上箭头可找回这一行；再按一次 Ctrl-C 离开）
nothing-today = 今天还没有随笔
none-yet = 还没有随笔
unknown = 没有 /{ $word } 这个命令，什么也没有保存；? 显示帮助。要写成随笔：//{ $word } …
still-here = 有 { $notes } 条随笔还在本机，尚未送达服务器；任何 suibi 命令都会把它们送去。
search-words = /search 需要词语，例如 /search 牛奶
on-day = /on 需要日期，例如 /on 昨天 或 /on 11-23
alone = 这个命令要单独占一行
help =
      一行就是一条随笔。标签写作 #标签 或 @标签。
    
      /today            今天的随笔               ?  h   这份帮助
      /on WHEN          某一天的随笔             r      全部随笔
      /search WORDS     含有这些词的随笔         s      立即交换随笔
      /log [N]          全部随笔，或最新 N 条    q      离开
                        都可加 #标签、--not WORD、--since WHEN、-n N ……
      /undo             撤销上一步
      /rm N  /show N    上次列表中编号为 N 的随笔；/restore N 也一样，
      /star N           还有 /unstar N
      /sync             立即交换随笔             Ctrl-C 清空这一行
      /status           随笔在哪里               Ctrl-D 离开
      //text            以 / 开头的随笔
not-taken = 服务器不接受一条随笔：{ $why }
online = 服务器恢复应答
offline = 服务器没有应答；随笔先保存在本机
cut-off = 随笔保存在本机；拿到新的邀请后会一起带过去：suibi join --again LINE
more-arrived = 又到了 { $notes } 条随笔；/log 显示全部
which-note = 哪一条随笔？写它在上次列表中的序号，例如 /rm 3，或 last
