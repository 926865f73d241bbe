starred = 已加星标
unstarred = 已去星标
has-star = 随笔 { $name } 已有星标
has-none = 随笔 { $name } 没有星标
two-versions = 随笔 { $name } 有两个版本，什么也没有写
two-versions-hint = 请先定下一个：suibi edit { $name }
