earlier-text = 这条随笔有一份未写入的内容在 { $file }
no-text = 没有内容，也没有终端可以打开编辑器，什么也没有做
no-text-hint = 从标准输入读取：suibi edit NOTE -
was-erased = 随笔 { $name } 已被彻底抹去
was-erased-hint = 写一条新的：suibi TEXT
is-deleted = 随笔 { $name } 已删除，没有写入
is-deleted-hint = 先恢复它：suibi restore { $name }
empty = 内容是空的，没有写入
empty-hint = 要删除这条随笔：suibi rm { $name }
your-text-is-in = 你的内容在 { $file }
same = 内容没有变化，没有写入
same-conflict = 内容没有变化，没有写入；它仍有两个版本，改动内容即可定稿
changed-hint =
    你的内容保存在 { $file }；查看这条随笔现在的内容：suibi show { $name }
          仍要写入你的：suibi edit { $name } - < { $path }
who-changed = （{ $device }，{ $when } { $deed }）
changed-meanwhile = 随笔 { $name } 期间被改动过{ $who }，没有写入
changed-meanwhile-hint = 查看现在的内容：suibi show { $name }
your-text-is-kept = 你的内容保存在 { $file }
name-an-editor = 请指定一个：EDITOR=nano suibi edit …，或直接写：suibi edit NOTE TEXT
no-editor = 没有找到编辑器，什么也没有做
editor-cannot-run = 无法运行编辑器，没有写入
editor-ended-badly = 编辑器异常退出（{ $status }），没有写入
without-editor = 不用编辑器：suibi edit NOTE TEXT
nowhere-to-keep = { $dir } 中无法保存内容
full-of-texts = { $dir } 里堆满了之前的内容
set-editor = 用 EDITOR 指定一个：EDITOR=nano
editor-failed = 编辑器异常结束（{ $status }）
