set-in = 已写入 { $file }
goes-before = 目前 { $origin } 优先于它
beyond-hint = 那不在本机，路上也没有加密；使用之前请确认你信任这个网络：suibi config set insecure true
was-not-set = { $file } 中没有设置 `{ $key }`
taken-out = 已从 { $file } 去掉
not-set = `{ $key }` 没有设置
from = 来自：{ $origin }
file = 配置文件：{ $file }
