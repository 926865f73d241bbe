waiting = 等待随笔；Ctrl-C 结束
offline = 服务器没有应答，仍在等待
online = 服务器恢复应答
