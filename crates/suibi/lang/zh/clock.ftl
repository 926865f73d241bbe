not-a-time = { $name } 不是时间，应写作 2026-11-23T09:05:00.000+08:00
impossible = 本机时钟的时间无法用于随笔
seconds = { $count } 秒
minutes = { $count } 分钟
hours = { $count } 小时
days = { $count } 天
years = { $count } 年
