erased-before = 随笔 { $name } 早已彻底抹去
not-here-yet = 服务器上已抹去，本机还没有（{ $why }）：suibi sync 会完成
erased =
    随笔 { $name } 已彻底抹去，服务器和本机上都没有了
      其他设备在下次联系时抹去
nobody = 什么也没有抹去：这里没有人可以确认
nobody-hint = 请明确表示要这样做：suibi purge --yes { $name }
warning = 它的全部 { $revisions } 个版本会立即从服务器和本机上消失，其他设备在下次联系时消失，无法恢复。备份、导出和别人复制的内容不受影响。只想隐藏而保留：suibi rm { $name }
question = 彻底抹去吗？[y/N]
not-allowed = 服务器不允许这台设备抹去随笔
did-not = 服务器没有抹去它
not-known = 服务器没有应答，不能确定是否已抹去
not-known-hint = 等它应答后再试：suibi status
