//! The Chinese of everything that help says: the English text as it stands at its command or option, and its translation.
//!
//! Lines of longer texts are broken by hand, at 80 columns. Names of commands, options, settings and values stay.

/// English and Chinese.
pub(super) const HELP: &[(&str, &str)] = &[
    ("Daily notes over the network", "通过网络记录的每日随笔"),
    ("Everywhere", "通用选项"),
    (
        "Talk to this unprotected listener, coap://HOST:PORT, and to no other",
        "只与这个不加保护的监听地址通信，coap://HOST:PORT",
    ),
    (
        "Allow --server beyond this machine; the way there is not encrypted",
        "允许 --server 指向其他机器；那段路没有加密",
    ),
    ("Keep the journal's files in this directory", "日记的文件放在这个目录"),
    ("Print JSON (docs/cli.md describes it)", "输出 JSON（格式见 docs/cli.md）"),
    ("When to use colours", "何时使用颜色"),
    (
        "Speak this language: en, zh, or auto for that of the locale",
        "使用的语言：en、zh，或 auto 按系统区域设置",
    ),
    (
        "End with code 3 when a note is kept here but not yet on the server",
        "随笔只存在本机、尚未送达服务器时，以退出码 3 结束",
    ),
    ("Say nothing but errors", "除错误外什么也不说"),
    ("Tell more about what happens; twice for still more", "多说一些正在发生的事；写两次则更多"),
    ("Write a note", "写一条随笔"),
    ("All of standard input is the note", "整个标准输入作为一条随笔"),
    (
        "The words of the note; a time in front of a colon is when it was: yesterday 3pm: tea",
        "随笔的内容；冒号前的时间就是它的时间：昨天下午三点：喝茶",
    ),
    (
        "When it was, instead of a time in front of the text: 'yesterday 3pm'",
        "随笔的时间，不写在内容前面：昨天下午三点、'yesterday 3pm'",
    ),
    ("Print the notes, oldest first", "列出随笔，从旧到新"),
    (
        "Say where each note came from: a device's name, or the address of a foreign client",
        "标出每条随笔的来源：设备名称，或外来客户端的地址",
    ),
    ("Only notes from this device or address", "只列来自这台设备或这个地址的"),
    ("Newest first", "从新到旧"),
    ("Print today's notes", "列出今天的随笔"),
    ("Print one day's notes", "列出某一天的随笔"),
    ("Print the notes in which all these words stand", "列出含有全部这些词的随笔"),
    (
        "Print all about a note: its text, who wrote it when, receipts, versions",
        "显示一条随笔的全部信息：内容、谁在何时写下、回执、版本",
    ),
    ("Which notes", "哪些随笔"),
    (
        "Print what became of a note: each change, when and by whom",
        "显示一条随笔的经过：每次改动，何时、何人",
    ),
    ("Which note", "哪一条随笔"),
    (
        "Give a note another text, in your editor or from the command line",
        "修改一条随笔，在编辑器里或在命令行上",
    ),
    (
        "The words of its text from now on, joined by spaces; - for standard input",
        "新的内容，各词以空格相连；- 表示标准输入",
    ),
    ("Delete notes; restore brings them back", "删除随笔；可用 restore 恢复"),
    ("Bring deleted notes back", "恢复已删除的随笔"),
    ("Erase a note for good, everywhere", "彻底抹去一条随笔，处处不留"),
    ("Do not ask", "不再询问"),
    ("Print the tags and how many notes have each", "列出标签，以及各有多少条随笔"),
    ("Exchange notes with the server now", "立即与服务器交换随笔"),
    ("Say where the notes are and whether the server answers", "说明随笔在哪里，服务器是否应答"),
    ("Prove that nothing is missing, or name what is", "证明什么都没有少，或指出少了什么"),
    ("Check one receipt, such as 1284 or 3f9ac1", "核对一张回执，例如 1284 或 3f9ac1"),
    (
        "Compare with the server, too; URI names one without protection",
        "同时与服务器比较；URI 指定一个不加保护的",
    ),
    ("Besides, read everything from the server once more", "另外，从服务器重新读取全部内容"),
    (
        "Copy everything into one file, check such a file, put it back",
        "把全部内容存成一个文件，检查它，或恢复它",
    ),
    (
        "Copy everything into a new file, while others go on writing, and check it",
        "把全部内容复制到一个新文件并检查，期间可照常写入",
    ),
    ("Of the server that keeps its data here", "备份数据在此的服务器"),
    ("Of this device's own notes and its membership", "备份这台设备自己的随笔及其加入信息"),
    ("The new file", "新文件"),
    (
        "Check every change in a backup, and say what is in it",
        "检查备份中的每个变更，并说明其中有什么",
    ),
    ("The backup", "备份文件"),
    ("Put a backup back, where nothing is", "把备份恢复到空的地方"),
    ("Print notes as they arrive, until Ctrl-C", "随笔一到就显示，直到 Ctrl-C"),
    ("End after N notes", "显示 N 条后结束"),
    ("Be a server for other devices", "作为其他设备的服务器运行"),
    (
        "Let one more device in: prints a line, and a QR code of it",
        "让一台设备加入：打印一行文字及其二维码",
    ),
    (
        "Make this machine a device of the server that printed the line",
        "让本机成为打印那一行的服务器的设备",
    ),
    (
        "Print who has joined; rename a device, cut it off, make keys for other programs",
        "列出谁加入了；给设备改名、断开设备、为其他程序生成密钥",
    ),
    (
        "Print who joined, who was cut off, who was refused, and when",
        "列出谁加入了、谁被断开、谁被拒绝，以及时间",
    ),
    (
        "See it work: a server, two devices, a bad network, ninety seconds at most",
        "看看它怎么工作：一台服务器、两台设备、糟糕的网络，最多九十秒",
    ),
    ("Look at settings and change them", "查看和修改设置"),
    (
        "Print one setting's value; who set it goes to standard error",
        "显示一项设置的值；由谁设定则写到标准错误",
    ),
    ("Its name, such as `server`", "设置的名称，例如 `server`"),
    ("Write one setting into config.toml, comments kept", "把一项设置写入 config.toml，注释保留"),
    ("Its value; several for a list", "设置的值；列表可写多个"),
    ("Take one setting out of config.toml", "从 config.toml 中去掉一项设置"),
    ("Print every setting, its value, and who set it", "列出每项设置、它的值，以及由谁设定"),
    ("Only the newest N entries", "只列最新的 N 项"),
    ("Of 100 datagrams so many are lost, each way", "每 100 个数据报丢失这么多，双向皆然"),
    ("Where the dice of the network start", "网络随机数的种子"),
    (
        "Give a device another name; the notes that it wrote follow",
        "给设备改名；它写下的随笔也随之更改",
    ),
    ("Its name now, or its id", "现在的名称，或编号"),
    ("Its name from now on", "新的名称"),
    ("Cut a device off, at once; what it wrote stays", "立即断开一台设备；它写下的内容保留"),
    ("Its name, or its id", "名称或编号"),
    (
        "Make keys for a program of another make that speaks OSCORE",
        "为支持 OSCORE 的其他程序生成密钥",
    ),
    ("What the program is to be called among the devices", "这个程序在设备列表中的名称"),
    ("Whose files", "生成哪种程序的文件"),
    (
        "What it may do: read,write, or read alone, or write alone",
        "它可以做什么：read,write，或只 read，或只 write",
    ),
    (
        "The journal that it may use; a name that is new makes one [default: your own]",
        "它可以使用的日记；新的名称会新建一本 [默认：你自己的]",
    ),
    (
        "Where the program finds the server [default: where it listens, or this machine's own address]",
        "程序在哪里找到服务器 [默认：服务器监听的地址，或本机地址]",
    ),
    (
        "Write the files into this directory, made for them, instead of printing them",
        "把文件写进为此新建的这个目录，而不是打印出来",
    ),
    (
        "The journal that it joins; a new name makes one [default: yours]",
        "加入哪本日记；新的名称会新建一本 [默认：你的]",
    ),
    (
        "What it may do: read,write; read; or write (a drop); with admin it invites and revokes",
        "它可以做什么：read,write；read；或 write（投递口）；加上 admin 可以邀请和断开",
    ),
    ("How long the line is good for, 1m to 7d", "这一行的有效期，1m 到 7d"),
    ("What the device is called [default: its own choice]", "设备的名称 [默认：由它自己决定]"),
    (
        "Where the device finds the server [default: this machine's address]",
        "设备在哪里找到服务器 [默认：本机地址]",
    ),
    (
        "What suibi invite printed on the server: suibi://…",
        "服务器上 suibi invite 打印的那一行：suibi://…",
    ),
    (
        "What this device is called there [default: the machine's name]",
        "这台设备在那里的名称 [默认：本机的名称]",
    ),
    (
        "Leave the server that was joined before, for the one of the line",
        "离开以前加入的服务器，改为加入这一行的",
    ),
    (
        "Let invited devices in here, encrypted (OSCORE) [default: :5683]",
        "受邀的设备从这里加密（OSCORE）连入 [默认：:5683]",
    ),
    (
        "Speak CoAP here, without encryption: whoever reaches it can read and write",
        "在这里使用不加密的 CoAP：谁能连到，谁就能读写",
    ),
    (
        "Speak the plain dialect here: one datagram is one note (nc -u is a client)",
        "在这里使用纯文本方式：一个数据报就是一条随笔（nc -u 就是客户端）",
    ),
    (
        "Which words ask for the history: course (r, sync), or compat (old clients' words as well)",
        "哪些词索取历史：course（r、sync），或 compat（也包括旧客户端的词）",
    ),
    (
        "Whether notes are answered: auto (by the first datagram of an address), always, never",
        "是否应答随笔：auto（由每个地址的第一个数据报决定）、always、never",
    ),
    (
        "The longest history datagram, in bytes [default: 1024]",
        "历史数据报的最大字节数 [默认：1024]",
    ),
    ("Let the plain listeners be reached from other machines", "允许其他机器连到纯文本监听地址"),
    (
        "\
NOTE is `last`, the number that the last listing in this terminal gave it (3),
the number of a receipt ('#1284', or 1284), its six digits (3f9ac1), a whole
receipt, or a note's id or the beginning of it.",
        "\
NOTE 可以是 `last`、这个终端上次列表中的序号（3）、回执的号码（'#1284' 或 1284）、
回执的六位字符（3f9ac1）、整张回执，或随笔的编号或其开头。",
    ),
    (
        "\
NOTE is `last`, the number that the last listing in this terminal gave it (3),
the number of a receipt ('#1284', or 1284), its six digits (3f9ac1), a whole
receipt, or a note's id or the beginning of it.

Nothing is overwritten: what the note said before stays in its history. A note
that was written apart on two devices is shown with both versions; what you save
settles it.

Examples:
  suibi edit last                       opens the editor
  suibi edit 1284 bought milk @shop     one line
  suibi show --json 1284 | jq -r '.notes[0].text' | tr a-z A-Z | suibi edit 1284 -",
        "\
NOTE 可以是 `last`、这个终端上次列表中的序号（3）、回执的号码（'#1284' 或 1284）、
回执的六位字符（3f9ac1）、整张回执，或随笔的编号或其开头。

任何内容都不会被覆盖：以前的内容留在它的历史里。在两台设备上各自写下的随笔会同时
显示两个版本；你保存的内容就是定稿。

示例：
  suibi edit last                       打开编辑器
  suibi edit 1284 买了牛奶 @购物        一行
  suibi show --json 1284 | jq -r '.notes[0].text' | tr a-z A-Z | suibi edit 1284 -",
    ),
    (
        "\
Examples:
  suibi bought milk @shop     a note with a tag; quote what the shell would eat
  suibi 今天天气很好          any language
  suibi today                 what you wrote today
  suibi search milk           every note with that word
  suibi -- list of things     a note that begins with a command's name",
        "\
示例：
  suibi 买了牛奶 @购物        带标签的随笔；shell 会吃掉的字符要加引号
  suibi 今天天气很好          什么语言都行
  suibi today                 今天写了什么
  suibi search 牛奶           含有这个词的每条随笔
  suibi -- list of things     以命令名开头的随笔",
    ),
    (
        "\
A backup is one file with everything: of a server all its journals and who may
do what there; of a device that has joined one its notes, also those that wait
for the server, and its credential. Keep it where only you can read it.

Examples:
  suibi backup create /media/disk/suibi-2026-11-23.backup
  suibi backup check /media/disk/suibi-2026-11-23.backup
  suibi backup restore /media/disk/suibi-2026-11-23.backup

A server that was put back to an older state gets from its devices what it
lacks, as soon as they come by.",
        "\
备份是包含一切的一个文件：服务器的备份有全部日记和各设备的权限；已加入的设备的备份
有它的随笔（包括待发的）和密钥。请放在只有你能读到的地方。

示例：
  suibi backup create /media/disk/suibi-2026-11-23.backup
  suibi backup check /media/disk/suibi-2026-11-23.backup
  suibi backup restore /media/disk/suibi-2026-11-23.backup

恢复到旧状态的服务器，会在各设备下次联系时从它们取回所缺的内容。",
    ),
    (
        "\
Examples:
  suibi devices                        who has joined, and what each may do
  suibi devices rename phone 手机
  suibi devices revoke 'old laptop'    its next datagram is refused
  suibi devices export kettle --format libcoap --rights write --dir kettle

Where two devices have one name, the id in the last column says which.",
        "\
示例：
  suibi devices                        谁加入了，各自能做什么
  suibi devices rename phone 手机
  suibi devices revoke '旧电脑'        它的下一个数据报就会被拒绝
  suibi devices export kettle --format libcoap --rights write --dir kettle

两台设备同名时，用最后一列的编号指明。",
    ),
    (
        "\
The keys are told this once. They must never be copied, nor restored from a
backup: a program that counts its messages again gives its notes away.

Examples:
  suibi devices export kettle --format libcoap --rights write --dir kettle
  suibi devices export scripts --format aiocoap --dir scripts",
        "\
密钥只给出这一次。绝不能复制，也不能从备份恢复：重新从头计数的程序会泄露它的随笔。

示例：
  suibi devices export kettle --format libcoap --rights write --dir kettle
  suibi devices export scripts --format aiocoap --dir scripts",
    ),
    (
        "\
The line goes to standard output, everything else to standard error. It lets in
one device, whichever has it first: hand it over as you would a key. The server
has to run: suibi serve.

Examples:
  suibi invite                                  a laptop or a phone of your own
  suibi invite --rights write --name sensor     a drop: adds notes, sees none
  suibi invite --journal family --expires 2d    another journal, kept apart
  suibi invite --host notes.example.org         where others find the server",
        "\
那一行写到标准输出，其余写到标准错误。它只让一台设备加入，先到先得：请像交钥匙一样
交给对方。服务器必须在运行：suibi serve。

示例：
  suibi invite                                  自己的电脑或手机
  suibi invite --rights write --name sensor     投递口：只能添加，什么也看不到
  suibi invite --journal family --expires 2d    另一本日记，互不相见
  suibi invite --host notes.example.org         别人在哪里找到服务器",
    ),
    (
        "\
Without LINE, or with -, it is read from standard input, and so stays out of the
shell's history. What this machine wrote before goes along. A join that was cut
short is taken up by the same line again.

Examples:
  suibi join                              asks for the line
  suibi join --name phone < line.txt      from a file
  ssh server suibi invite | suibi join    straight from the server",
        "\
不写 LINE 或写 - 时从标准输入读取，这样它不会留在 shell 的历史里。本机以前写的随笔会
一起带过去。中断的加入可以用同一行继续。

示例：
  suibi join                              询问那一行
  suibi join --name phone < line.txt      从文件读取
  ssh server suibi invite | suibi join    直接来自服务器",
    ),
    (
        "\
Devices that were invited come in at --listen, encrypted, and nobody else; where
no listener is named, that is --listen :5683. In another terminal, suibi invite
lets a device in. The other listeners are unprotected, and there only when you
name them.

ADDR is HOST:PORT: 127.0.0.1:4242, localhost:4242, [::]:5683, a host name, :5683
(every interface, IPv4 and IPv6); port 0 lets the system pick. After --plain
ADDR, options for that listener alone:
ADDR,reply=always|never|auto,words=course|compat,max=BYTES,anyone

Examples:
  suibi serve                                   on every interface, encrypted
  suibi serve --listen 192.168.1.5:5683 --plain 127.0.0.1:4242
  suibi serve --insecure-coap 127.0.0.1:5683    for coap-client on this machine

Ctrl-C (SIGINT) or SIGTERM ends it; what was acknowledged is on disk.",
        "\
受邀的设备从 --listen 加密连入，别人都不行；不指定任何监听地址时就是 --listen :5683。
在另一个终端运行 suibi invite 让设备加入。其他监听地址不加保护，只在你指定时才有。

ADDR 是 HOST:PORT：127.0.0.1:4242、localhost:4242、[::]:5683、主机名、:5683（所有网卡，
IPv4 和 IPv6）；端口 0 由系统选择。--plain ADDR 之后可写只用于它的选项：
ADDR,reply=always|never|auto,words=course|compat,max=BYTES,anyone

示例：
  suibi serve                                   所有网卡，加密
  suibi serve --listen 192.168.1.5:5683 --plain 127.0.0.1:4242
  suibi serve --insecure-coap 127.0.0.1:5683    供本机的 coap-client 使用

Ctrl-C（SIGINT）或 SIGTERM 结束它；已确认的内容都在磁盘上。",
    ),
    (
        "\
Without RECEIPT, every change that this device has is checked: its hash, its
place in its chain, and that the notes are what their changes say. With
--server, that the server has all of them, and this device all of the server's;
with --all, everything that the server has is read and checked once more.

RECEIPT is what was printed when the note was saved, today or years ago, or one
half of it: 'suibi verify 1284 3f9ac1', 'suibi verify 3f9ac1'.

Exit code 0: nothing is missing. 1: something is, and what it says is what.",
        "\
不写 RECEIPT 时，检查这台设备的每个变更：哈希、在链中的位置，以及随笔是否与变更相符。
--server 还检查服务器是否都有，以及这台设备是否有服务器的全部；--all 则把服务器的全部
内容重新读取并检查一遍。

RECEIPT 是保存随笔时打印的回执，今天的或多年以前的都行，也可以只写一半：
'suibi verify 1284 3f9ac1'、'suibi verify 3f9ac1'。

退出码 0：什么都没有少。1：有缺失，并说明是什么。",
    ),
    (
        "Print what your shell reads at its start: no notes in its history, completions",
        "打印 shell 启动时读取的内容：随笔不进历史记录，自动补全",
    ),
    (
        "A shorter name for suibi, such as n; its notes stay out of the history, too",
        "suibi 的简称，例如 n；用它写的随笔同样不进历史记录",
    ),
    ("Print the completions of a shell, for a package", "打印某个 shell 的自动补全，供打包使用"),
    (
        "Show a manual page, or write all of them into a directory",
        "显示手册页，或把全部手册页写入一个目录",
    ),
    (
        "The page of one command; suibi's own page without",
        "某个命令的手册页；不写则是 suibi 本身的",
    ),
    ("The shell that is to understand it", "供哪个 shell 使用"),
    (
        "Write all pages into this directory, suibi.1, suibi-add.1 and so on",
        "把全部手册页写入这个目录：suibi.1、suibi-add.1 等",
    ),
    (
        "\
bash, in ~/.bashrc                    eval \"$(suibi init bash)\"
zsh, in ~/.zshrc, after compinit      eval \"$(suibi init zsh)\"
fish, in ~/.config/fish/config.fish   suibi init fish | source",
        "\
bash，写在 ~/.bashrc                  eval \"$(suibi init bash)\"
zsh，写在 ~/.zshrc，compinit 之后     eval \"$(suibi init zsh)\"
fish，写在 ~/.config/fish/config.fish suibi init fish | source",
    ),
    (
        "A day or stretch such as yesterday, 'last week', 2026-10, 昨天, 上个月; and tags",
        "某一天或一段时间：昨天、上个月、2026-10、'last week'；可加标签",
    ),
    (
        "A time and tags, if not all notes are meant: last week @shop",
        "时间和标签，若不是要全部随笔：上周 @购物",
    ),
    (
        "Look for what is wrong; prints a report that can be shown to others",
        "检查哪里不对；打印一份可以给别人看的报告",
    ),
    (
        "Only from then on: yesterday, 'last fri 9:30', 2026-10, 昨天下午三点",
        "只列那时及以后的：昨天下午三点、2026-10、yesterday、'last fri 9:30'",
    ),
    (
        "Only from this day or stretch: 'last week', 2026-10..2026-11, 上个月",
        "只列这一天或这段时间的：上个月、2026-10..2026-11、'last week'",
    ),
    ("Only from this device or address", "只列来自这台设备或这个地址的"),
    ("Only notes with these tags", "只列带这些标签的"),
    ("Only the newest N of them", "只列最新的 N 条"),
    (
        "Only up to then, all of that day, month or minute included",
        "只列到那时为止的，含那一天、那个月或那一分钟",
    ),
    ("Only with a star", "只列加星的"),
    ("Only with these words, as search takes them", "只列含有这些词的，写法与 search 相同"),
    (
        "Only with this tag, or one below it (work finds work/plans); given twice: with both",
        "只列带这个标签或其下级标签的（work 也包括 work/plans）；写两次表示两个都要有",
    ),
    (
        "Only without this word or tag (milk, @shop, '#shop')",
        "只列不含这个词或标签的（牛奶、@购物、'#购物'）",
    ),
    (
        "Open config.toml in your editor, and check it afterwards",
        "在编辑器里打开 config.toml，之后检查它",
    ),
    ("Print where config.toml is, or would be", "打印 config.toml 所在或应在的位置"),
    (
        "Say what is here: notes, days, size, devices, places",
        "说明这里有什么：随笔、天数、大小、设备、位置",
    ),
    ("A calendar year; without it, the year up to today", "某一年；不写则是到今天为止的一年"),
    ("All, done or not", "全部，不论做完没有"),
    ("Another day than today", "不是今天，而是这一天"),
    ("Print a note that you may have forgotten", "随机看一条也许已经忘了的随笔"),
    (
        "Print how much you wrote, and when: the year as a map, streaks, words, hours",
        "写了多少，何时写的：一年的热力图、连续天数、字数、时段",
    ),
    ("Print what is still to do: the lines with a box, - [ ]", "列出还要做的事：带方框的行，- [ ]"),
    ("Print what was written on this day in earlier years", "列出往年今天写下的随笔"),
    ("So many notes, each another one", "看这么多条，各不相同"),
    ("The same day of earlier months as well", "往月的同一天也算"),
    ("The same weekday of the last four weeks as well", "前四周的同一个星期几也算"),
    ("Those that are done", "只看做完的"),
    ("Tick tasks off", "把任务勾掉"),
    (
        "Which: numbers of `suibi tasks`, or notes with one open task",
        "哪些：`suibi tasks` 里的编号，或只有一项未完成任务的随笔",
    ),
    ("Mark notes with a star", "给随笔加星"),
    ("Take back what was done last on this device", "撤销这台设备上最近做的事"),
    ("Take the star away again", "去掉星标"),
    (
        "\
It takes back the last thing that was done on this device: a note that was
written is deleted, an edit gives way to the text before it, a note that was
deleted is there again, a star is as it was. That is a change like any other and
stands in the note's history; what was done to several notes at once is taken
back at once. A second undo takes back the first.

Nothing is taken back of a note that another device has changed since.",
        "\
撤销这台设备上最近做的一件事：写下的随笔被删除，修改恢复为之前的内容，删除的随笔重新
出现，星标恢复原样。这也是一次改动，会留在随笔的历史里；一次对多条随笔做的事会一起
撤销。再运行一次 undo 则撤销这次撤销。

如果另一台设备之后改动过这条随笔，则不会撤销。",
    ),
    (
        "What fits best first, of the newest thousand matches: often and as written, and rather new than old; 20 of them, or N",
        "最合适的在前，取自最新的一千条结果：出现多、写法相同、时间较新的优先；列 20 条，或 N 条",
    ),
    (
        "What is the same: script (traditional and simplified), width, pinyin; all, unless it is said; or none",
        "哪些视为相同：script（繁体和简体）、width（全角和半角）、pinyin（拼音）；不写则全部；或 none",
    ),
    (
        "Words that must all be there; \"quoted phrase\", begin*, -without, @tag, 中文, pinyin",
        "必须全部出现的词；“加引号的短语”、前缀*、-不含、@标签、中文、拼音",
    ),
];

/// Usages that clap does not make by itself: the command, and its lines, which begin below the first one's.
pub(super) const USAGE: &[(&str, &str)] = &[
    (
        "suibi",
        "suibi                    提示符：先列出最近几天，然后一行就是一条随笔\n       \
         suibi TEXT…              写一条随笔\n       \
         suibi -                  整个标准输入作为一条随笔\n       \
         … | suibi                每一行是一条随笔\n       \
         suibi [OPTIONS] COMMAND  下列命令之一",
    ),
    (
        "suibi edit",
        "suibi edit [OPTIONS] NOTE            在编辑器里（$VISUAL、$EDITOR）\n       \
         suibi edit [OPTIONS] NOTE TEXT…      改成这些内容\n       \
         … | suibi edit [OPTIONS] NOTE -      改成整个标准输入",
    ),
];

/// What clap says by itself.
pub(super) const OWN: &[(&str, &str)] = &[
    ("Usage:", "用法："),
    ("Commands:", "命令："),
    ("Arguments:", "参数："),
    ("Options:", "选项："),
    ("通用选项:", "通用选项："),
    ("哪些随笔:", "哪些随笔："),
    (
        "Print this message or the help of the given subcommand(s)",
        "显示这份说明，或某个子命令的说明",
    ),
    ("Print help", "显示帮助"),
    ("Print version", "显示版本"),
    ("[aliases: ", "[别名："),
    ("[alias: ", "[别名："),
    ("[possible values: ", "[可选："),
    ("[default: ", "[默认："),
];
