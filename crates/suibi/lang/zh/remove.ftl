erased-before = 随笔 { $name } 早已彻底抹去
deleted-before = 随笔 { $name } 早已删除
bring-back = 要恢复：suibi restore { $name }
nothing-left = 随笔 { $name } 已彻底抹去，没有可以恢复的内容
backup-hint = 抹去之前的备份里可能还有
not-deleted = 随笔 { $name } 没有被删除
