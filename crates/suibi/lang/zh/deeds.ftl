written = 写下
edited = 修改
deleted = 删除
restored = 恢复
erased = 抹去
purged = 彻底抹去
changed = 改动
