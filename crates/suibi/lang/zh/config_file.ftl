cannot-make = 无法创建 { $path }
edit-again = 请改正：suibi config edit
first-line = suibi 的设置。去掉行首的 # 即可设置；suibi config list 列出当前生效的值。
no-such = 没有名为“{ $name }”的设置项
did-you-mean = 是不是“{ $key }”？
