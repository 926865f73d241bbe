error = 错误：
cause = 原因：
hint = 提示：
cannot-read-or-write = 读写失败
