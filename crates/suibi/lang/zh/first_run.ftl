each-line = 还没有随笔。写下的每一行就是一条，按回车保存。
in-the-shell = @购物 是标签。在 shell 里：suibi 买了牛奶 @购物，suibi today，suibi search 牛奶。
place = 随笔存放在 { $path }；suibi init 让它们不进入 shell 的历史。
