first-for-others = 新的服务器：要让第一台设备加入，请在另一个终端运行：suibi invite
first-for-this = 新的服务器，仅供本机；要供其他设备使用：suibi serve --listen :5683
plain = --plain { $text }：`{ $part }`：{ $why }
plain-hint = 选项有 reply=auto|always|never、words=course|compat、max=BYTES、anyone
no-option = 没有这个选项
